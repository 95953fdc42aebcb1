"""Weights in files: those that a run leaves, and those made elsewhere.

    python -m surrojax.weights STATE OUT [--names NAMES.json]

makes a file that `init_from` takes out of a PyTorch state of the face-recognition
network; docs/weights.md has the names, the shapes and examples.
"""

from surrojax.weights.files import (
    STATISTICS,
    SUFFIXES,
    flatten,
    hash_of,
    load,
    save,
    unflatten,
    unwhole,
    whole,
)
from surrojax.weights.fitting import Fitted, fit_into
from surrojax.weights.pytorch import convert, from_torch

__all__ = [
    "STATISTICS",
    "SUFFIXES",
    "Fitted",
    "convert",
    "fit_into",
    "flatten",
    "from_torch",
    "hash_of",
    "load",
    "save",
    "unflatten",
    "unwhole",
    "whole",
]
