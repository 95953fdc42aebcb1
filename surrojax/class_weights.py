"""What a sample of each class counts in the softmax loss and in a score."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from surrojax.errors import InputError
from surrojax.fields import suggest

FAR = 5.0
"""A weight from which on a learning rate that was right without may be too high."""

BALANCED = "balanced"
"""All classes count the same together, however many samples each of them has."""


def weights_of(
    given: str | Iterable[Any] | Mapping[Any, Any] | None,
    labels: np.ndarray,
    classes: Sequence[str],
) -> tuple[float, ...] | None:
    """A weight a class, whose mean over the training samples is 1.

    So that the learning rate and the penalties' coefficients mean what they do without.

    Args:
      given: `balanced`: in inverse proportion to a class's training samples, as
        scikit-learn has it; or K numbers, of which the ratios matter, in order or by
        name or label; None, or none: all samples count the same.
      labels: `[n]` int, of the training samples.
      classes: K names.

    Returns:
      K numbers, 0 for a class without a training sample where they are balanced; None:
      all samples count the same.

    Raises:
      InputError: these are no weights of the classes.
    """
    words = _listed(given, classes)
    if not words:
        return None
    counts = np.bincount(labels, minlength=len(classes))
    if words == [BALANCED]:
        weights = np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0)
    else:
        weights = _numbers(words, classes)
    weights = weights / max(weights.max(), np.finfo(float).tiny)  # of any size
    mean = weights @ counts / counts.sum()
    if not mean > 0:
        raise InputError(
            "class_weights: no training sample counts; give a class that has some a "
            "weight above 0"
        )
    return tuple((weights / mean).tolist())


def check_counted(weights: Sequence[float], labels: np.ndarray) -> None:
    """Sees that some of the validation samples count.

    Args:
      weights: of `weights_of`.
      labels: `[n]` int, of the validation samples.

    Raises:
      InputError: none does.
    """
    if not np.array(weights)[labels].any():
        raise InputError(
            "class_weights: no validation sample counts; validate on samples of a "
            "class whose weight is above 0"
        )


def _listed(given: Any, classes: Sequence[str]) -> list[Any]:
    if given is None or isinstance(given, str):
        return [] if given is None else [given]
    if isinstance(given, Mapping):
        for keys in (classes, range(len(classes))):
            if given.keys() == set(keys):
                return [given[key] for key in keys]
        raise InputError(
            f"class_weights: is of {', '.join(map(str, given)) or 'no class'}; give a "
            f"number for each of {', '.join(classes)}, by name or by label from 0 on"
        )
    if isinstance(given, bytes) or not np.iterable(given):
        raise InputError(
            f"class_weights: {given!r} is no sequence; give {BALANCED}, or a number "
            "for each class in their order"
        )
    return list(given)


def _numbers(words: list[Any], classes: Sequence[str]) -> np.ndarray:
    try:
        weights = np.array(words, np.float64)
    except (TypeError, ValueError):
        weights = np.array([np.nan])
    if weights.shape != (len(classes),) or not np.all(np.isfinite(weights)):
        told = ", ".join(map(str, words))
        meant = suggest(told, [BALANCED])
        raise InputError(
            f"class_weights: {told} is neither {BALANCED} nor {len(classes)} numbers, "
            f"one for each of {', '.join(classes)}{meant}"
        )
    if np.any(weights < 0):
        raise InputError("class_weights: one is below 0; the least is 0")
    return weights


def told(weights: Sequence[float], classes: Sequence[str]) -> str:
    """The weights in a line."""
    each = (f"{name} {w:.3g}" for name, w in zip(classes, weights, strict=True))
    line = f"class weights: {', '.join(each)}"
    if max(weights) > FAR:
        line += (
            f"; a class that counts {max(weights):.3g} times has so many times the "
            "learning rate, which may want to be lower"
        )
    return line
