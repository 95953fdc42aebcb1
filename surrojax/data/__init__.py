"""Databases: readers, protocols, the faces drawn by code, augmentation."""

from surrojax.data.databases import (
    DATASETS,
    FOLDED,
    READERS,
    Protocol,
    Source,
    folder_has_splits,
    load,
)
from surrojax.data.dataset import EXPRESSIONS, Dataset, Split
from surrojax.data.protocols import FOLDS

__all__ = [
    "DATASETS",
    "EXPRESSIONS",
    "FOLDED",
    "FOLDS",
    "READERS",
    "Dataset",
    "Protocol",
    "Source",
    "Split",
    "folder_has_splits",
    "load",
]
