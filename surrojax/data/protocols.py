"""Who is trained on, who validates and who is tested: folds, official splits, classes.

Person-independent folds are Section 3.2's; cross-database evaluation is that of
Tables 11 and 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from surrojax.data.dataset import EXPRESSIONS, Dataset, Images, Joined, Split
from surrojax.errors import InputError

FOLDS = 10

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Samples:
    """A whole database before any protocol.

    Attributes:
      name: as in the config field `dataset.name`.
      classes: the names of its classes, in label order.
      all: every sample, in a fixed order.
      official: `[n]` str out of `SPLITS`, the split that a sample officially is in;
        None: the database has no splits and is dealt into folds.
      manifest: what was read, ready for JSON.
    """

    name: str
    classes: tuple[str, ...]
    all: Split
    official: np.ndarray | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    def take(self, rows: np.ndarray) -> "Samples":
        """The samples at `rows`."""
        official = None if self.official is None else self.official[rows]
        return replace(self, all=self.all.take(rows), official=official)


def with_classes(samples: Samples, count: int) -> Samples:
    """The samples of the six basic expressions, or of those and neutral.

    Args:
      samples: of a database.
      count: 6 or 7; 0 for the classes that the database has.

    Raises:
      InputError: the database does not have them all.
    """
    if not count:
        return samples
    return relabel(samples, EXPRESSIONS[:count], must=True)


def relabel(samples: Samples, classes: Sequence[str], must: bool = False) -> Samples:
    """The samples of some classes, labelled in that order.

    Args:
      samples: of a database.
      classes: their names; samples of other classes leave, and are counted.
      must: whether each class has to be there.

    Raises:
      InputError: with `must`, a class is not.
    """
    absent = [name for name in classes if name not in samples.classes]
    if must and absent:
        raise InputError(
            f"dataset.classes: {len(classes)} classes are wanted, but this copy of "
            f"{samples.name} has no {', '.join(absent)}; it has "
            f"{', '.join(samples.classes)}"
        )
    place = np.array(
        [classes.index(name) if name in classes else -1 for name in samples.classes],
        np.int32,
    )
    labels = place[samples.all.labels]
    kept = np.flatnonzero(labels >= 0)
    gone = {
        name: int((samples.all.labels == index).sum())
        for index, name in enumerate(samples.classes)
        if name not in classes
    }
    taken = samples.take(kept)
    return replace(
        taken,
        classes=tuple(classes),
        all=replace(taken.all, labels=labels[kept]),
        manifest=samples.manifest | ({"classes_left_out": gone} if gone else {}),
    )


def groups(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """What has to stay on one side of a split: persons, where they are known.

    Where they are not, the frames of a sequence, and with them whatever has the
    same pixels as one of them.

    Returns:
      The group of each sample, `[n]` int, and the names of the groups in the order in
      which they are dealt: sorted persons, or by the first row.
    """
    if split.subjects is not None:
        names, group = np.unique(split.subjects, return_inverse=True)
        return group.reshape(-1), names
    n = len(split)
    unit, labels = split.units()
    _, image = np.unique(split.hashes(), return_inverse=True)
    # Rows are linked through the sequence and the image that they share with others.
    row = np.arange(n)
    nodes = n + len(labels) + n
    to = np.concatenate([n + unit, n + len(labels) + image.reshape(-1)])
    graph = coo_array((np.ones(2 * n), (np.tile(row, 2), to)), shape=(nodes, nodes))
    component = connected_components(graph, directed=False)[1][:n]
    _, first, group = np.unique(component, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[group.reshape(-1)], np.sort(first).astype(np.str_)


def deal(samples: Samples, folds: int = FOLDS) -> np.ndarray:
    """The fold of each sample, `[n]` int: groups are dealt like cards, by tens.

    Args:
      samples: those to deal; see `groups`.
      folds: how many.

    Raises:
      InputError: there are fewer groups than folds, so one would have no subject.
    """
    group, names = groups(samples.all)
    if len(names) < folds:
        known = samples.all.subjects is not None
        kind = "subjects" if known else "independent samples"
        raise InputError(
            f"dataset: {len(names)} {kind} cannot be dealt into {folds} folds; fold "
            f"{len(names)} would have none; get a more complete copy, or sort a folder "
            "of your own into train/ and test/"
            f"{_faceless(samples, folds - len(names))}"
        )
    return group % folds


def _faceless(samples: Samples, missing: int = 1) -> str:
    """A remedy where images may be missing because no face was found in them.

    Args:
      samples: what is left.
      missing: how many images are needed.
    """
    found_none = samples.manifest.get("no_face_found", 0)
    if found_none < missing:
        return ""
    return (
        f". No face was found in {found_none} of the images that were read: "
        "--config.dataset.align=False takes them as they are"
    )


def ten_folds(samples: Samples, fold: int) -> Dataset:
    """Person-independent folds: test is fold f, validation the next, training the rest.

    Args:
      samples: of a database without official splits.
      fold: f, in [0, 10).

    Raises:
      InputError: there are too few subjects or samples for so many folds.
    """
    dealt = deal(samples)
    test, validation = dealt == fold, dealt == (fold + 1) % FOLDS
    return _dataset(
        samples,
        [~test & ~validation, validation, test],
        {"protocol": f"person-independent folds; test {fold}"}
        if samples.all.subjects is not None
        else {"protocol": f"folds of rows, the subjects being unknown; test {fold}"},
    )


def official(samples: Samples) -> Dataset:
    """The database's own splits; a tenth of training validates where none is given.

    Where subjects are known, the manifest says how many are on two sides.

    Raises:
      InputError: there is no training or no test split.
    """
    assert samples.official is not None
    where = {name: samples.official == name for name in SPLITS}
    for name in ("train", "test"):
        if not where[name].any():
            raise InputError(
                f"dataset: {samples.name} as read has no {name} split; add the missing "
                f"part of the database{_faceless(samples)}"
            )
    protocol = "official splits"
    if not where["validation"].any():
        rows = np.flatnonzero(where["train"])
        kept = rows[deal(samples.take(rows)) == 0]
        where["validation"][kept], where["train"][kept] = True, False
        protocol += "; a tenth of training validates"
    masks = [where[name] for name in SPLITS]
    return _dataset(samples, masks, {"protocol": protocol} | _seen(samples, *masks))


def _seen(
    samples: Samples, train: np.ndarray, validation: np.ndarray, test: np.ndarray
) -> dict[str, int]:
    """A count of the test's subjects that are elsewhere too; empty: not known."""
    subjects = samples.all.subjects
    if subjects is None:
        return {}
    both = np.intersect1d(subjects[test], subjects[train | validation])
    return {"test_subjects_in_train_or_validation": len(both)}


def held_out(samples: Samples) -> Samples:
    """The same with a tenth of training in the test split's place.

    For comparing variants of a method: the official test split is left out, so that
    nothing that is chosen by such figures was chosen by it.

    Raises:
      InputError: the database has no official splits to begin with.
    """
    if samples.official is None:
        raise InputError(
            f"dataset.held_out: {samples.name} as read has no official splits; its "
            "folds hold out what they test"
        )
    rows = np.flatnonzero(samples.official == "train")
    tested = rows[deal(samples.take(rows)) == 0]
    where = np.where(samples.official == "test", "", samples.official)
    where[tested] = "test"
    return replace(
        samples,
        official=where,
        manifest=samples.manifest | {"held_out": "a tenth of training is the test"},
    )


def cross_database(
    source: Samples,
    target: Samples,
    fold: int,
    train_on_fold: bool = False,
    mask_absent: bool = True,
) -> Dataset:
    """Trained on one database, tuned on a fold of another, tested on its nine others.

    Args:
      source: used whole; where it has official splits, its training split.
      target: all its samples.
      fold: which of the target's folds validates.
      train_on_fold: whether that fold is trained on as well, as the paper's rival does.
      mask_absent: whether a class that the target does not have is never predicted;
        else predicting it is an error.

    Raises:
      InputError: the two share fewer than two classes.
    """
    if source.official is not None:
        source = source.take(np.flatnonzero(source.official == "train"))
        if not len(source.all):
            raise InputError(
                f"dataset: {source.name} as read has no train split; add the missing "
                f"part of the database{_faceless(source)}"
            )
    shared = [name for name in source.classes if name in target.classes]
    if len(shared) < 2:
        raise InputError(
            f"dataset.target: {target.name} shares {len(shared)} classes with "
            f"{source.name}; choose databases with the same expressions"
        )
    allowed = tuple(name in target.classes for name in source.classes)
    target = relabel(target, source.classes)
    dealt = deal(target)
    validation = target.all.take(np.flatnonzero(dealt == fold))
    train = source.all
    if train_on_fold:
        train = concatenate([train, validation])
    return Dataset(
        name=f"{source.name} to {target.name}",
        classes=source.classes,
        train=train,
        validation=validation,
        test=target.all.take(np.flatnonzero(dealt != fold)),
        manifest={
            "source": source.manifest,
            "target": target.manifest,
            "protocol": f"cross-database; fold {fold} of the target validates"
            + (" and is trained on" if train_on_fold else ""),
        },
        allowed=allowed if mask_absent and not all(allowed) else None,
    )


def samples_of(dataset: Dataset) -> Samples:
    """A database that was read in splits, as one."""
    splits = dataset.splits
    names = np.concatenate(
        [np.full(len(split), name) for name, split in splits.items()]
    )
    return Samples(
        dataset.name,
        dataset.classes,
        concatenate(list(splits.values())),
        names,
        dataset.manifest,
    )


def concatenate(splits: Sequence[Split]) -> Split:
    """Splits one after the other; smaller images are enlarged to the largest.

    What only some of them have, such as subjects, the whole does not have, but for
    sequences: an image of a split without them is a sequence of its own.
    """
    images: Images = Joined(tuple(split.images for split in splits))
    if all(isinstance(split.images, np.ndarray) for split in splits):
        images = images[np.arange(images.shape[0])]

    def join(values: list[np.ndarray | None]) -> np.ndarray | None:
        present = [value for value in values if value is not None]
        return np.concatenate(present) if len(present) == len(values) else None

    sequences = None
    if any(split.sequences is not None for split in splits):
        sequences = join(
            [
                np.char.add(
                    f"{index}/",
                    split.units()[0].astype(np.str_)
                    if split.sequences is None
                    else split.sequences.astype(np.str_),
                )
                for index, split in enumerate(splits)
            ]
        )
    return Split(
        images,
        np.concatenate([split.labels for split in splits]),
        join([split.subjects for split in splits]),
        sequences,
        join([split.files for split in splits]),
        np.concatenate([split.hashes() for split in splits]),
    )


def duplicates(dataset: Dataset) -> dict[str, Any]:
    """Counts of samples whose pixels occur before, within and across the splits.

    They are reported and never removed.
    """
    hashes = {name: split.hashes() for name, split in dataset.splits.items()}
    labels_of: dict[str, set[int]] = {}
    for name, split in dataset.splits.items():
        for image, label in zip(hashes[name], split.labels.tolist(), strict=True):
            labels_of.setdefault(str(image), set()).add(label)

    def seen(name: str, *earlier: str) -> int:
        there = np.concatenate([hashes[e] for e in earlier])
        return int(np.isin(hashes[name], there).sum())

    return {
        "within": {n: len(h) - len(np.unique(h)) for n, h in hashes.items()},
        "validation_in_train": seen("validation", "train"),
        "test_in_train_or_validation": seen("test", "train", "validation"),
        "images_with_several_labels": sum(len(v) > 1 for v in labels_of.values()),
    }


def _dataset(
    samples: Samples, masks: Sequence[np.ndarray], manifest: dict[str, Any]
) -> Dataset:
    train, validation, test = (samples.all.take(np.flatnonzero(m)) for m in masks)
    return Dataset(
        samples.name,
        samples.classes,
        train,
        validation,
        test,
        samples.manifest | manifest,
    )
