"""What every reader of a database returns: three splits of pixels and labels."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The canonical order of the classes, FER2013's."""


@dataclass(frozen=True)
class Split:
    """The samples of one split, in a fixed order.

    Attributes:
      images: `[n, H, W, C]` uint8, grey levels or RGB.
      labels: `[n]` int32, indices into `Dataset.classes`.
      subjects: `[n]` str, who is in the picture; None where that is not known.
    """

    images: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


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
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    manifest: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """A hash of all pixels and labels: what a run depends on."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for split in (self.train, self.validation, self.test):
            digest.update(repr(split.images.shape).encode())
            digest.update(np.ascontiguousarray(split.images).tobytes())
            digest.update(np.ascontiguousarray(split.labels, np.int32).tobytes())
        return digest.hexdigest()
