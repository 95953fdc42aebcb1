"""FER2013 and FER+, read from the user's files and kept prepared in a cache."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from surrojax.data.dataset import EXPRESSIONS, Dataset, Split
from surrojax.data.fer2013_csv import SIDE, Prepared
from surrojax.data.fer2013_files import Sources, find_sources
from surrojax.data.places import cache_folder, data_folder
from surrojax.errors import InputError
from surrojax.fields import check_known

CONFIGS = {"fer2013": "default", "ferplus": "plus"}
"""The names that `load` knows, and the builder's."""

KAGGLE_ROWS = {"train": 28709, "validation": 3589, "test": 3589}
"""The rows of Kaggle's own file."""


def load(
    name: str,
    image_size: int = SIDE,
    channels: int = 1,
    directory: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
) -> Dataset:
    """Loads FER2013, with its own labels or those of FER+.

    The first load parses the csv and keeps the result in a folder of the cache that
    is named after the sha256 of the source files; later loads read that. Nothing is
    ever downloaded. TFDS's progress bars stay off in this process afterwards.

    Args:
      name: `fer2013` or `ferplus`. FER+ leaves out the rows whose most votes are for
        contempt, unknown or NF, or shared by several classes.
      image_size: height and width of the images, in pixels. Other than 48, they are
        resized bilinearly, with antialiasing where that makes them smaller.
      channels: 1, or 3 for the grey level three times.
      directory: the folder of the source files (or of a sub-folder `fer2013` with
        them). Default: `$SURROJAX_DATA`, else TFDS's manual folder,
        `~/tensorflow_datasets/downloads/manual`.
      cache: where prepared data are kept. Default: `$SURROJAX_CACHE`, else
        `~/.cache/surrojax`.

    Returns:
      The splits Training (train), PublicTest (validation) and PrivateTest (test), each
      in the order of the csv; images `[n, image_size, image_size, channels]`. The
      manifest also counts the database's faults, which are reported, never mended.

    Raises:
      InputError: an argument is wrong, a file is absent or a field of it is wrong.
    """
    _check_arguments(name, image_size, channels)
    sources = find_sources(data_folder(directory), plus=name == "ferplus")
    hashes = {str(path): _sha256(path) for path in sources.paths}
    folder = cache_folder(cache) / f"{name}-{_fingerprint(hashes)}"
    # It imports TFDS, a third of a second that only those who load should pay.
    from surrojax.data import fer2013_builder

    metadata, faces = fer2013_builder.prepare_and_read(CONFIGS[name], sources, folder)
    splits = {
        split: Split(_resize(part.pixels, image_size, channels), part.labels)
        for split, part in faces.items()
    }
    return Dataset(
        name,
        EXPRESSIONS,
        splits["train"],
        splits["validation"],
        splits["test"],
        _manifest(name, sources, hashes, metadata, faces),
    )


def _check_arguments(name: str, image_size: int, channels: int) -> None:
    check_known("database", name, CONFIGS)
    if image_size < 1:
        raise InputError(f"image_size is {image_size}; it must be 1 or more pixels")
    if channels not in (1, 3):
        raise InputError(f"channels is {channels}; it must be 1 (grey) or 3")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error}); check its permissions"
        ) from error


def _fingerprint(hashes: Mapping[str, str]) -> str:
    """One file's sha256, or that of several files' hashes; the first 16 hex digits."""
    digests = list(hashes.values())
    if len(digests) > 1:
        digests = [hashlib.sha256("".join(digests).encode()).hexdigest()]
    return digests[0][:16]


def _resize(pixels: np.ndarray, size: int, channels: int) -> np.ndarray:
    """`[n, SIDE, SIDE]` to `[n, size, size, channels]`, both uint8."""
    if size == SIDE:
        return np.repeat(pixels[..., None], channels, axis=3)
    resized = np.empty((len(pixels), size, size, channels), np.uint8)
    for place, image in enumerate(pixels):
        small = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        resized[place] = np.asarray(small)[..., None]
    return resized


def _manifest(
    name: str,
    sources: Sources,
    hashes: Mapping[str, str],
    metadata: Mapping[str, Any],
    faces: Mapping[str, Prepared],
) -> dict[str, Any]:
    return {
        "source": sources.kaggle.name,
        "labels": (sources.votes or sources.kaggle).name,
        "sha256": {Path(path).name: digest for path, digest in hashes.items()},
        "splits": {split: len(part.labels) for split, part in faces.items()},
        "classes": {split: _count(part.labels) for split, part in faces.items()},
        "left_out": dict(metadata["left_out"]),
        "faults": _count_faults(faces),
        "notes": _notes(name, metadata["rows"]),
    }


def _count(labels: np.ndarray) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(EXPRESSIONS))
    return dict(zip(EXPRESSIONS, counts.tolist(), strict=True))


def _count_faults(faces: Mapping[str, Prepared]) -> dict[str, int | float]:
    """Counts images that occur twice, and those that show nothing."""
    labels_of: dict[bytes, set[int]] = {}
    seen: dict[str, list[bytes]] = {}
    constant = 0
    for split, part in faces.items():
        seen[split] = [image.tobytes() for image in part.pixels]
        for image, label in zip(seen[split], part.labels.tolist(), strict=True):
            labels_of.setdefault(image, set()).add(label)
        constant += int((part.pixels == part.pixels[:, :1, :1]).all((1, 2)).sum())
    elsewhere = {*seen["train"], *seen["validation"]}
    leaked = sum(image in elsewhere for image in seen["test"])
    return {
        "rows": sum(map(len, seen.values())),
        "distinct_images": len(labels_of),
        "test_rows_seen_elsewhere": leaked,
        "test_percent_seen_elsewhere": round(100 * leaked / len(seen["test"]), 1),
        "duplicate_groups_with_different_labels": sum(
            len(labels) > 1 for labels in labels_of.values()
        ),
        "constant_images": constant,
    }


def _notes(name: str, rows: Mapping[str, int]) -> list[str]:
    if dict(rows) == KAGGLE_ROWS:
        return []
    found, expected = (
        " / ".join(str(counts[split]) for split in KAGGLE_ROWS)
        for counts in (rows, KAGGLE_ROWS)
    )
    return [
        f"{name} was made from a file of {found} rows (train / validation / test), "
        f"not Kaggle's {expected}: published results do not compare"
    ]
