"""A user's own arrays as the splits of a run, checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.data import Dataset, Split
from surrojax.data.dataset import Images
from surrojax.errors import InputError, one_line

Examples = tuple[Any, Any]
"""Inputs `[n, ...]` and their labels `[n]`, whole numbers from 0 on."""


def split_of(name: str, examples: Examples) -> Split:
    """A pair of arrays as a split, in 32 bits.

    Raises:
      InputError: they are no inputs and labels.
    """
    if not isinstance(examples, tuple | list | np.ndarray | jax.Array):
        what = type(examples).__name__
        raise InputError(
            f"{name}: is of {what}; give a pair of arrays, inputs and labels"
        )
    try:
        given, numbers = examples
    except ValueError as error:
        raise InputError(
            f"{name}: wants a pair of arrays, inputs and labels ({error})"
        ) from error
    inputs, labels = array_of(name, given), array_of(name, numbers)
    if labels.ndim != 1 or inputs.ndim < 2 or len(inputs) != len(labels):
        hint = ""
        if not inputs.ndim:
            hint = f"; of {type(given).__name__}, give the array that it holds"
        elif inputs.ndim == 1 and labels.ndim > 1:
            hint = "; they seem to be given the other way round"
        elif labels.ndim == 2:
            hint = f"; {_one_of(labels)}"
        raise InputError(
            f"{name}: inputs of shape {inputs.shape} and labels of shape "
            f"{labels.shape}; wanted are [n, ...] and [n]{hint}"
        )
    if not len(labels):
        raise InputError(f"{name}: holds no examples")
    if labels.dtype == bool:
        labels = labels.astype(np.int64)
    if np.issubdtype(labels.dtype, np.floating) and np.all(labels == labels.round()):
        labels = labels.astype(np.int64)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{name}: labels of type {labels.dtype}; give whole numbers from 0 on: "
            "classes, numbers = np.unique(labels, return_inverse=True)"
        )
    labels = np.clip(labels, -1, 2**31 - 1).astype(np.int32)
    return Split(in_32_bits(name, inputs, given), labels)


def _one_of(labels: np.ndarray) -> str:
    """What to give instead of labels `[n, K]`."""
    if labels.shape[1] == 1:
        return "give labels[:, 0]"
    if np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all():
        return "of one-hot, labels.argmax(1)"
    return (
        "several labels an example, or shares of them, cannot be trained on here; in a "
        "loop of your own surrojax.Tuner tunes that as well"
    )


def array_of(name: str, given: Any) -> np.ndarray:
    """What was given, as an array on the host.

    Raises:
      InputError: it is none, or some of it is masked.
    """
    try:
        found = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: wants arrays ({one_line(error)})") from error
    if np.ma.is_masked(given):
        row = np.argwhere(np.ma.getmaskarray(given))[0][0]
        raise InputError(
            f"{name}, row {row}: is masked; fill it in (.filled) or leave it out"
        )
    return found


def in_32_bits(name: str, inputs: np.ndarray, given: Any) -> np.ndarray:
    """Inputs `[n, ...]` as numbers that a network takes.

    Args:
      name: of the split.
      inputs: of `array_of`.
      given: what they were made of.

    Raises:
      InputError: they are no numbers, or some are not finite or do not fit.
    """
    if inputs.dtype == bool:
        return inputs.astype(np.float32)
    if jnp.issubdtype(inputs.dtype, jnp.floating):  # bfloat16 as well
        with np.errstate(over="ignore"):  # told in the next line
            inputs = inputs.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
        if bad.size:
            raise InputError(
                f"{name}, row {bad[0]}: holds NaN or infinity, as {bad.size} of "
                f"{len(inputs)} rows do; leave them out or fill them in"
            )
        return inputs
    if not np.issubdtype(inputs.dtype, np.integer):
        raise InputError(f"{name}: inputs of type {inputs.dtype}; {_numbers(given)}")
    if inputs.dtype.itemsize <= 4:
        return inputs.astype(inputs.dtype.newbyteorder("="), copy=False)
    whole = inputs.astype(np.int32)
    bad = np.flatnonzero((whole != inputs).reshape(len(inputs), -1).any(axis=1))
    if bad.size:
        raise InputError(
            f"{name}, row {bad[0]}: holds a whole number beyond 32 bits; number "
            "tokens from 0 on, or give measurements as float32"
        )
    return whole


def _numbers(given: Any) -> str:
    """What to give instead of what is no array of numbers."""
    types = getattr(given, "dtypes", None)
    if types is None or not hasattr(types, "items"):  # as a table of pandas has
        return "give numbers"
    words = [n for n, kind in types.items() if getattr(kind, "kind", "O") not in "biuf"]
    if words:
        return f"column {words[0]!r} holds no numbers; encode it, or leave it out"
    return "give its numbers: frame.to_numpy(np.float32)"


def alike(name: str, inputs: Images, train: Images) -> None:
    """Sees that inputs are stored as those to train are.

    Raises:
      InputError: their shape or type is another.
    """
    given, wanted = np.asarray(inputs[:1]), np.asarray(train[:1])
    if given.shape[1:] != wanted.shape[1:] or given.dtype != wanted.dtype:
        raise InputError(
            f"{name}: inputs of shape {given.shape[1:]} and type {given.dtype} each, "
            f"while those to train have {wanted.shape[1:]} and {wanted.dtype}"
        )


def check(name: str, split: Split, train: Split, count: int, words: int | None) -> None:
    """Compares a split with the network and the training split.

    Args:
      name: of the split.
      split, train: that one, and the one to train.
      count: K.
      words: tokens that the network knows; None: inputs are no tokens of it.
    """
    bad = np.flatnonzero((split.labels < 0) | (split.labels >= count))
    if bad.size:
        from_one = (split.labels.min(), split.labels.max()) == (1, count)
        hint = "; they seem to count from 1: give labels - 1" if from_one else ""
        raise InputError(
            f"{name}, row {bad[0]}: label {split.labels[bad[0]]} is out of range; the "
            f"network has {count} classes, 0 to {count - 1}{hint}"
        )
    alike(name, split.images, train.images)
    if words is not None:
        check_tokens(name, split.pixels(), words)


def check_tokens(name: str, tokens: np.ndarray, words: int) -> None:
    """Sees that a network knows the tokens of a split.

    Args:
      name: of the split.
      tokens: `[n, ...]` its inputs.
      words: how many the network knows.

    Raises:
      InputError: there are others, which it would embed as NaN.
    """
    if tokens.min() < 0 or tokens.max() >= words:
        wrong = np.flatnonzero(
            ((tokens < 0) | (tokens >= words)).reshape(len(tokens), -1).any(axis=1)
        )
        raise InputError(
            f"{name}, row {wrong[0]}: holds a token outside of 0 to {words - 1}, which "
            "the network's nn.Embed does not know"
        )


def names_of(given: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The names of K classes; where none are given, their numbers.

    Raises:
      InputError: there are more or fewer, or one is there twice.
    """
    names = tuple(map(str, range(count) if given is None else given))
    if len(names) != count:
        raise InputError(
            f"classes: {len(names)} names for a network of {count} classes; give one "
            "for each"
        )
    if len(set(names)) < count:
        raise InputError("classes: a name is there twice; give each class its own")
    return names


def dataset_of(splits: Mapping[str, Split], classes: tuple[str, ...]) -> Dataset:
    """The splits as one, for a run's files.

    Args:
      splits: `train`, `validation`, and perhaps `test`.
      classes: K names.
    """
    counts = {name: len(split) for name, split in splits.items()}
    return Dataset(
        name="own data",
        classes=classes,
        train=splits["train"],
        validation=splits["validation"],
        test=splits.get("test", splits["train"].take(np.arange(0))),
        manifest={"source": "arrays", "counts": counts},
    )
