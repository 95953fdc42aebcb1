"""What a user should be told about the data, though they can be trained on."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from surrojax.data import Dataset, Split
from surrojax.data.labels import expression, split_of
from surrojax.fields import some_of
from surrojax.method import Method

NEARLY = 0.9
"""Share of the classes that counts as all of them."""

INNERMOST = '"--config.dataset.subject_pattern=.*/(.+)/"'
"""The flag that takes the folder around an image for its subject, for a shell."""

NOTHING = '"--config.tune=()"'
"""The flag that tunes nothing, as a shell takes it."""

FEW = 100
"""Validation examples below which settings are told apart by chance."""


def of_splits(
    method: Method, splits: Mapping[str, Split], classes: Sequence[str], none: str
) -> list[str]:
    """Lines about the examples, none where there is nothing to say.

    Args:
      method: of the run.
      splits: by name, `train` and `validation` among them.
      classes: K names.
      none: how nothing is tuned.
    """
    found = [
        line for name, split in splits.items() for line in missing(name, split, classes)
    ]
    found += of_method(method, len(splits["train"]))
    few = len(splits["validation"].units()[1])
    if method.tunes and few < FEW:
        found.append(
            f"validation: settings are compared on {few} examples, where one more or "
            f"less is {100 / few:.2g} % of accuracy, so that chance decides; give "
            f"{FEW} or more, or say the ratios by fixed and tune nothing ({none})"
        )
    return found


def missing(name: str, split: Split, classes: Sequence[str]) -> list[str]:
    """A line about the classes of which a split has no example, if there are any."""
    absent = np.setdiff1d(np.arange(len(classes)), split.labels)
    if not absent.size:
        return []
    told = some_of([classes[index] for index in absent])
    return [f"{name}: has no example of class {told}, of {len(classes)} classes"]


def of_method(method: Method, examples: int) -> list[str]:
    """Lines about settings that do not fit the examples to train, or each other."""
    found = []
    if method.batch_size > examples:
        found.append(
            f"batch_size: {method.batch_size} is more than the {examples} examples to "
            "train, so that each minibatch holds some several times"
        )
    return found + ([method.blind] if method.blind else [])


def of_dataset(method: Method, dataset: Dataset) -> list[str]:
    """Lines about what a config's dataset holds, for its user to mend.

    Of published databases, whose protocols and faults are as they are, only what an
    incomplete copy or a setting is the reason of.

    Args:
      method: of the run.
      dataset: as `surrojax.data.load` makes it, with copies counted.
    """
    if dataset.name != "folder":
        found = missing("train", dataset.train, dataset.classes)
        return found + of_method(method, len(dataset.train))
    found = _by_person(dataset)
    found += of_splits(method, dataset.splits, dataset.classes, NOTHING)
    copies = dataset.manifest["duplicates"]["test_in_train_or_validation"]
    if copies:
        found.append(
            f"test: {copies} of {len(dataset.test)} images are in train or validation "
            "as well, so that test accuracy says too much; keep one copy of each"
        )
    known = dataset.manifest.get("test_subjects_in_train_or_validation", 0)
    subjects = dataset.test.subjects
    if subjects is not None and known:
        found.append(
            f"test: {known} of {len(np.unique(subjects))} subjects are in "
            "train or validation as well, so that test accuracy says too much; put all "
            "images of a subject on one side, or take away the folders train and test: "
            "ten folds of subjects are dealt then"
        )
    return found


def _by_person(dataset: Dataset) -> list[str]:
    """A line about folders of expressions inside of the classes', where that is so."""
    classes = dataset.classes
    # Of each folder with images: the class, and the folders around it in the database.
    places = {
        (label, PurePosixPath(file).parent.parts)
        for split in dataset.splits.values()
        if split.files is not None
        for label, file in zip(split.labels.tolist(), split.files, strict=True)
    }
    above = 2 if all(split_of(parts[0]) for _, parts in places) else 1
    inside: dict[int, list[str]] = {}
    for label, parts in sorted(places):
        words = [word for word in parts[above:] if expression(word)]
        inside.setdefault(label, []).append(words[0] if words else "")
    persons = [
        classes[label]
        for label, words in inside.items()
        if expression(classes[label]) is None and all(words)
    ]
    found = sorted({word for words in inside.values() for word in words if word})
    several = len(set(map(expression, found))) > 1
    if len(persons) < NEARLY * len(inside) or not several:
        return []
    return [
        f"classes: folders inside of {some_of(persons)} are named after expressions "
        f"({some_of(found)}), so that persons are told apart, not expressions; sort "
        f"images as {found[0]}/{persons[0]}/1.png, and {INNERMOST} says who is in them"
    ]
