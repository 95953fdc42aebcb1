"""From a config to the objects that it describes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from ml_collections import ConfigDict

from surrojax import data, networks
from surrojax.data.augment import Augment, Look
from surrojax.errors import InputError
from surrojax.evaluate import Views
from surrojax.method import Method, is_held
from surrojax.run.execution import execution_of
from surrojax.run.replay import read_schedule
from surrojax.search import make_search
from surrojax.sites import Sites
from surrojax.space import Values, make_space, present_names
from surrojax.values import EVERY_FOLD, check, expand

PLACES = {
    "bounds": "search.bounds",
    "center": "search.center",
    "crops": "dataset.crops",
    "image_size": "dataset.image_size",
    "population": "search.population",
    "schedule": "replay",
    "start": "search.start",
    "width": "search.initial_width",
}
"""Fields that the core calls otherwise."""


def resolve(config: ConfigDict) -> ConfigDict:
    """A checked copy in which settings that mean the same are spelled the same.

    Raises:
      InputError: the config cannot be run; the message names the field.
    """
    resolved = ConfigDict(config)
    if config.replay:
        resolved.tune = ()
    # The number of classes decides nothing that could be wrong with a config.
    resolved.tune = make_method(config, len(data.EXPRESSIONS)).space.tune
    return resolved


def make_pair(config: ConfigDict, classes: int) -> networks.Pair:
    """The networks that a config asks for."""
    convolution = execution_of(config).convolution
    with named():
        return networks.make_pair(
            config.network,
            classes,
            convolution,
            config.dataset.image_size,
            config.dataset.channels,
        )


def make_look(config: ConfigDict, pair: networks.Pair) -> Look:
    """What the networks are to receive of each image."""
    with named():
        return Look(
            pair.image_size, pair.channels, config.dataset.crops, config.compute_dtype
        )


def folds(config: ConfigDict) -> tuple[int, ...]:
    """The folds that a config asks for: one a run."""
    several = config.dataset.name in (*data.FOLDED, "folder") or config.dataset.target
    if config.dataset.fold != EVERY_FOLD:
        return (config.dataset.fold,)
    if config.dataset.name == "folder" and not config.dataset.target:
        several = not data.folder_has_splits(config.dataset.dir)
    return tuple(range(data.FOLDS)) if several else (0,)


def load_data(config: ConfigDict) -> data.Dataset:
    """The database that a config asks for, at the size that its network takes.

    Raises:
      InputError: the data cannot be used, or the config asks for all folds at once.
    """
    fold, *others = folds(config)
    if others:
        raise InputError(
            "config.dataset.fold: a run takes one fold, 0 to 9; the command line runs "
            "all ten"
        )
    trained_on, tested_on = sources(config)
    protocol = data.Protocol(
        fold=fold,
        target=tested_on,
        held_out=config.dataset.held_out,
        train_on_fold=config.dataset.train_on_target_fold,
        mask_absent=config.dataset.mask_absent_classes,
    )
    return data.load(trained_on, protocol)


def sources(config: ConfigDict) -> tuple[data.Source, data.Source | None]:
    """The database that a config trains on, and that which it tests on, if another."""
    look = make_look(config, make_pair(config, len(data.EXPRESSIONS)))

    def source(name: str, directory: str | None, classes: int) -> data.Source:
        return data.Source(
            name=name,
            directory=directory,
            side=look.side,
            channels=look.channels,
            classes=classes,
            align=config.dataset.align,
            options=tuple(
                (key, config.dataset[key]) for key in data.READERS.get(name, ())
            ),
        )

    target = config.dataset.target
    return (
        source(config.dataset.name, config.dataset.dir, config.dataset.classes),
        # A target has those of the source that it has.
        source(target, config.dataset.target_dir, 0) if target else None,
    )


@contextmanager
def named() -> Iterator[None]:
    """The core names a setting, not where it came from."""
    try:
        yield
    except InputError as error:
        field, colon, why = str(error).partition(":")
        setting, *below = field.split(".")
        place = ".".join(["config", PLACES.get(setting, setting), *below])
        raise InputError(f"{place}{colon}{why}") from error


@lru_cache(maxsize=8)
def _sites_of(pair: networks.Pair) -> Sites:
    """The sites of a pair's original; to trace it takes a second."""
    return networks.sites_of(pair.original, networks.blank(pair))


def names_of(config: ConfigDict) -> tuple[str, ...]:
    """The hyper-parameters that the network of a checked config has."""
    return present_names(_sites_of(make_pair(config, len(data.EXPRESSIONS))))


def make_method(
    config: ConfigDict, classes: int, allowed: tuple[bool, ...] | None = None
) -> Method:
    """The method with a config's settings, all classes counting the same.

    Class weights follow from labels: `method_of` has them.

    Args:
      config: as `configs/common.py` makes it.
      classes: K, of the database.
      allowed: of `Views`, for the validation split.

    Raises:
      InputError: a setting is unknown or out of range; it names the field.
    """
    check(config)
    pair = make_pair(config, classes)
    look = make_look(config, pair)
    sites = _sites_of(pair)
    schedule = read_schedule(config.replay) if config.replay else None
    with named():
        space = make_space(
            sites,
            tune=()
            if schedule is not None
            else expand(
                config.tune,
                present_names(sites),
                is_held(config.surrogate, config.shared_layers),
            ),
            fixed=config.fixed.to_dict(),
            center=config.search.center.to_dict(),
            width=config.search.initial_width.to_dict(),
            bounds=config.search.bounds.to_dict(),
            start=config.search.start.to_dict(),
        )
        name = config.search.optimizer
        search = make_search(
            name,
            space.lower,
            space.upper,
            config.search.population,
            config.search[name].to_dict(),
            space.deviation(config.search.noise.to_dict()),
            where=f"search.{name}",
        )
        if schedule is not None:
            space, schedule = Values.like(space), schedule.ordered(space.names)
        method = Method(
            pair=pair,
            space=space,
            search=search,
            augment=Augment(look, config.dataset.mirror, config.dataset.shift),
            views=make_views(look, config.dataset.validate_with_crops, allowed),
            surrogate=config.surrogate,
            shared_layers=config.shared_layers,
            population=config.search.population,
            batch_size=config.batch_size,
            iterations_per_round=config.iterations_per_round,
            double_every=config.double_every,
            stage1_settings=config.stage1_settings,
            stage2_share=config.stage2_share,
            learning_rate_base=config.learning_rate.base,
            learning_rate_halve_every=config.learning_rate.halve_every,
            momentum=config.momentum,
            eta=Sites(**config.eta.to_dict()),
            kappa=config.kappa,
            norm=config.norm,
            objective=config.objective,
            selection=config.selection,
            common_random_numbers=config.common_random_numbers,
            reevaluate_incumbent=config.reevaluate_incumbent,
            first_setting=config.first_setting,
            undo_beyond=config.undo_beyond,
            evaluation_batch=config.evaluation_batch,
            layout=execution_of(config).layout,
            schedule=schedule,
        )
        if schedule is not None:
            schedule.check(method.plan(config.max_iterations))
    return method


def method_of(config: ConfigDict, dataset: data.Dataset) -> Method:
    """The method with a config's settings and the class weights of its data.

    Args:
      config: as `configs/common.py` makes it.
      dataset: of `load_data`.

    Raises:
      InputError: as `make_method`; or the class weights are none of its classes.
    """
    method = make_method(config, len(dataset.classes), dataset.allowed)
    with named():
        labels = dataset.train.labels, dataset.validation.labels
        return method.with_class_weights(config.class_weights, *labels, dataset.classes)


def make_views(
    look: Look, crops: bool, allowed: tuple[bool, ...] | None = None
) -> Views:
    """All crops of an image, or its central window alone."""
    if crops:
        return Views(look.see_crop, look.crops, allowed)
    return Views(look.see_center, 1, allowed)


def views_of_test(
    config: ConfigDict, pair: networks.Pair, allowed: tuple[bool, ...] | None
) -> Views:
    """How a config has test images looked at.

    Args:
      config: of a run.
      pair: its networks.
      allowed: of `Views`.
    """
    return make_views(make_look(config, pair), config.dataset.crops > 1, allowed)
