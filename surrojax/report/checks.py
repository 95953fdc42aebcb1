"""Checks of the files that a report is made of, each field that it reads."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.losses import OBJECTIVES

REMEDY = "restore the file, or let the run write it again"


def of_description(file: Path, description: Any, own: bool) -> None:
    """Checks what config.json says.

    Args:
      file: to be named.
      description: what it holds.
      own: whether it is of a run of `surrojax.tune`.

    Raises:
      InputError: a field is missing or of another type, as of all functions here.
    """
    fields: dict[str, type] = {
        "config.network": str,
        "config.max_iterations": int,
        "config.seed": int,
        "config.tune": list,
    }
    if not own:
        fields["config.dataset.name"] = str
    _check(file, description, fields)
    _of_extras(file, description, own)


def of_round(file: Path, record: Any, where: str, has_test: bool) -> None:
    """Checks a line of metrics.jsonl.

    Args:
      file: to be named.
      record: of the round.
      where: the line, for messages.
      has_test: whether there are test data.
    """
    fields = {
        "round": int,
        "step": int,
        "hyper": dict,
        "original.validation_accuracy": float,
        "seconds": float,
    }
    if has_test:
        fields["test.original.accuracy"] = float
    _check(file, record, fields, where)
    _of_parts(file, record, where, has_test)


def of_folds(file: Path, pooled: Any, where: str) -> None:
    """Checks what a table of folds says of one setting."""
    wanted = {"runs": int, "mean": float, "pooled_accuracy": float}
    _check(file, pooled, wanted | {"macro_f1": float}, where)
    _of_confusion(file, pooled)


def of_result(file: Path, result: Any, has_test: bool) -> None:
    """Checks what result.json says.

    Args:
      file, has_test: of `of_round`.
      result: what it holds.
    """
    accuracies = ["validation_accuracy", "train_accuracy"]
    if has_test:
        accuracies += ["test_accuracy", "macro_f1"]
    wanted = dict.fromkeys(accuracies, float) | {"seconds": float, "rounds": int}
    _check(file, result, wanted | {"original_steps": int, "surrogate_steps": int})
    _check_given(file, result, {"best_round": dict, "balanced_accuracy": float})
    if has_test:
        _of_confusion(file, result)


def _of_extras(file: Path, description: Record, own: bool) -> None:
    """What not every config.json has."""
    groups = {"versions": dict, "data": dict, "manifest": dict, "command": list}
    _check_given(file, description, groups)
    groups = {f"manifest.{name}": dict for name in ("splits", "counts")}
    search = str if own else dict
    _check_given(file, description, groups | {"config.search": search})
    if "multiply_accumulates" in description:
        macs = ("original", "surrogate")
        fields = {f"multiply_accumulates.{name}": float for name in macs}
        _check(file, description, fields)
        if description["multiply_accumulates"]["original"] <= 0:
            raise InputError(
                f"{file}: multiply_accumulates.original is not above 0; {REMEDY}"
            )
    objective = description["config"].get("objective", OBJECTIVES[0])
    if objective not in OBJECTIVES:
        raise InputError(
            f"{file}: config.objective: {objective!r} is none of "
            f"{', '.join(OBJECTIVES)}; {REMEDY}"
        )


def _of_parts(file: Path, record: Record, where: str, has_test: bool) -> None:
    """What not every round has."""
    _check_given(file, record, {"candidates": list}, where)
    settings = [record, *(record.get("candidates") or ())]
    for setting in settings:
        _check(file, setting, {"hyper": dict}, where)
        _check(file, setting["hyper"], dict.fromkeys(setting["hyper"], float), where)
    for candidate in settings[1:]:
        if candidate.get("score", math.nan) is not None:
            _check(file, candidate, {"score": float}, where)
        if list(candidate["hyper"]) != list(record["hyper"]):
            raise InputError(
                f"{file}: {where}a candidate has other hyper-parameters; {REMEDY}"
            )
    if "surrogate" in record:
        accuracies = ["surrogate.validation_accuracy"]
        if has_test:
            accuracies.append("test.surrogate.accuracy")
        _check(file, record, dict.fromkeys(accuracies, float), where)
    if "fidelity" in record:
        regret = dict.fromkeys(("fidelity.tau", "fidelity.regret.accuracy"), dict)
        _check(file, record, regret, where)
        taus = [f"fidelity.tau.{name}" for name in record["fidelity"]["tau"]]
        _check_given(file, record, dict.fromkeys(taus, dict), where)
        numbers = [f"{tau}.{part}" for tau in taus for part in ("value", "low", "high")]
        numbers += [f"fidelity.regret.accuracy.{w}" for w in ("surrogate", "random")]
        _check_given(file, record, dict.fromkeys(numbers, float), where)


def _of_confusion(file: Path, result: Record) -> None:
    _check(file, result, {"recall": dict, "confusion_matrix": list})
    for value in result["recall"].values():
        _check_given(file, {"recall": value}, {"recall": float})
    classes = len(result["recall"])
    rows = result["confusion_matrix"]
    if len(rows) != classes or not all(_are_counts(row, classes) for row in rows):
        raise InputError(
            f"{file}: its confusion_matrix is not {classes} by {classes} counts; "
            f"{REMEDY}"
        )


def _are_counts(row: Any, many: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == many
        and all(type(count) is int and count >= 0 for count in row)
    )


def _check(
    file: Path, record: Any, fields: Mapping[str, type], where: str = ""
) -> None:
    """Sees that a record has some fields, each of a type."""
    for field, kind in fields.items():
        value = _value_of(record, field)
        kinds = (int, float) if kind is float else (kind,)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise InputError(
                f"{file}: {where}{field} is missing or no {kind.__name__}; {REMEDY}"
            )


def _check_given(
    file: Path, record: Any, fields: Mapping[str, type], where: str = ""
) -> None:
    """The same of fields that may be missing, or null."""
    given = {
        field: kind
        for field, kind in fields.items()
        if _value_of(record, field) is not None
    }
    _check(file, record, given, where)


def _value_of(record: Any, field: str) -> Any:
    """A value by its dotted name; None: it is not there."""
    for name in field.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record
