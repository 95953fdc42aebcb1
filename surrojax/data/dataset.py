"""What every database becomes under its protocol: three splits of pixels and labels."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The canonical order of the classes, FER2013's."""


class Images(Protocol):
    """Pixels `[n, H, W, C]` uint8: a NumPy array, or what reads them from the disk."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True)
class Split:
    """The samples of one split, in a fixed order.

    Attributes:
      images: `[n, H, W, C]` uint8, grey levels or RGB.
      labels: `[n]` int32, indices into `Dataset.classes`.
      subjects: `[n]` str, who is in the picture; None where that is not known.
      sequences: `[n]` str, the unit that is classified; None where that is the image.
      files: `[n]` str, where each was read from; None where that says nothing.
      digests: `[n]` str, a hash of each image's pixels; None: not known yet.
    """

    images: Images
    labels: np.ndarray
    subjects: np.ndarray | None = None
    sequences: np.ndarray | None = None
    files: np.ndarray | None = None
    digests: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Split":
        """The samples at `rows` (int, `[m]`), in that order."""

        def of(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        images = self.images
        return Split(
            images[rows] if isinstance(images, np.ndarray) else Rows.of(images, rows),
            self.labels[rows],
            of(self.subjects),
            of(self.sequences),
            of(self.files),
            of(self.digests),
        )

    def pixels(self) -> np.ndarray:
        """All images in memory."""
        images = self.images
        if isinstance(images, np.ndarray):
            return images
        return np.asarray(images[np.arange(len(self))])

    def hashes(self) -> np.ndarray:
        """`digests`, worked out where the reader did not: `[n]` str."""
        if self.digests is not None:
            return self.digests
        return np.array(
            [
                digest_of(image)
                for rows in np.array_split(np.arange(len(self)), len(self) // 1000 + 1)
                for image in self.images[rows]
            ],
            np.str_,
        )

    def units(self) -> tuple[np.ndarray, np.ndarray]:
        """The unit of each image `[n]` and the label of each unit `[U]`, both int32.

        Units are numbered in the order in which they first occur.
        """
        if self.sequences is None:
            return np.arange(len(self), dtype=np.int32), self.labels
        _, first, unit = np.unique(
            self.sequences, return_index=True, return_inverse=True
        )
        rank = np.empty(len(first), np.int32)
        rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
        return rank[unit.reshape(-1)], self.labels[np.sort(first)]


@dataclass(frozen=True)
class Rows:
    """Some rows of images that stay on the disk."""

    images: Images
    rows: np.ndarray

    @classmethod
    def of(cls, images: Images, rows: np.ndarray) -> "Rows":
        """`rows` of `images`, which may be rows of others themselves."""
        if isinstance(images, Rows):
            return cls(images.images, images.rows[rows])
        return cls(images, rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.images.shape[1:])

    def __getitem__(self, rows: Any) -> Any:
        return self.images[self.rows[rows]]


@dataclass(frozen=True)
class Joined:
    """Images of several sources, one after the other, at the size of the largest."""

    parts: tuple[Images, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        sizes = zip(*(part.shape[1:] for part in self.parts), strict=True)
        return (sum(part.shape[0] for part in self.parts), *map(max, sizes))

    def __getitem__(self, rows: Any) -> Any:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        begin = 0
        for part in self.parts:
            mine = (rows >= begin) & (rows < begin + part.shape[0])
            images[mine] = _enlarge(part[rows[mine] - begin], images.shape[1:])
            begin += part.shape[0]
        return images


def _enlarge(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Images `[n, h, w, c]` at another `shape` `(H, W, C)`, bilinearly."""
    if images.shape[1:] == shape:
        return images
    grown = np.empty((len(images), *shape), np.uint8)
    for place, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        resized = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
        grown[place] = np.asarray(resized).reshape(*shape[:2], -1)
    return grown


@dataclass(frozen=True)
class Dataset:
    """A database under one protocol.

    Attributes:
      name: as in the config field `dataset.name`.
      classes: the names of the K classes, in label order.
      train: what the networks are fitted to.
      validation: what chooses the hyper-parameters (eq. 11).
      test: what is reported; it chooses nothing.
      manifest: what was read, ready for JSON: source, hash, counts, faults.
      allowed: `[K]`, the classes that may be predicted for validation and test samples;
        None: all.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    manifest: dict[str, Any] = field(default_factory=dict)
    allowed: tuple[bool, ...] | None = None

    @property
    def splits(self) -> dict[str, Split]:
        """The three by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def fingerprint(self) -> str:
        """A hash of all pixels, labels and units: what a run depends on."""
        digest = hashlib.sha256(repr((self.classes, self.allowed)).encode())
        for split in self.splits.values():
            digest.update(repr(split.images.shape).encode())
            digest.update("".join(split.hashes().tolist()).encode())
            digest.update(np.ascontiguousarray(split.labels, np.int32).tobytes())
            digest.update(split.units()[0].tobytes())
        return digest.hexdigest()


def digest_of(image: np.ndarray) -> str:
    """A hash of one image's pixels, 32 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:32]
