"""From a config to the objects that it describes.

Each value is checked by itself and against the network.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from ml_collections import ConfigDict

from surrojax import data, networks
from surrojax.data.augment import Augment, Look
from surrojax.errors import InputError
from surrojax.evaluate import Views
from surrojax.fields import check_known, flatten, suggest
from surrojax.losses import NORMS, OBJECTIVES
from surrojax.method import BLIND, FIRST_SETTINGS, SURROGATES, Method, is_held
from surrojax.ranges import check_finite, check_ranges
from surrojax.run.execution import execution_of
from surrojax.run.replay import read_schedule
from surrojax.search import OPTIMIZERS, make_search
from surrojax.sites import HYPER_NAMES, Sites
from surrojax.space import Values, make_space, present_names

CONVOLUTIONS = ("auto", "matmul", "direct", "lax")

CHOICES: dict[str, Collection[str]] = {
    "network": networks.NETWORKS,
    "dataset.name": data.DATASETS,
    "surrogate": SURROGATES,
    "norm": NORMS,
    "objective": OBJECTIVES,
    "selection": OBJECTIVES,
    "first_setting": FIRST_SETTINGS,
    "search.optimizer": OPTIMIZERS,
    "convolution": CONVOLUTIONS,
    "compute_dtype": ("float32", "bfloat16"),
    "dataset.camera": ("VL", "NI"),
    "dataset.light": ("Strong", "Weak", "Dark"),
    "dataset.frames": ("middle", "spread"),
    "dataset.stream": ("auto", "always", "never"),
    "execution.settings": ("auto", "vmap", "loop"),
    "execution.candidates": ("auto", "vmap", "loop"),
    "execution.rounds": ("auto", "fused", "parts"),
}

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

EVERY_FOLD = -1
"""The value of `dataset.fold` that stands for all ten, one run each."""

OPTIONAL = (
    "dataset.dir",
    "dataset.target",
    "dataset.target_dir",
    "init_from",
    "replay",
)
"""Fields that may be None."""

SAME_IMAGES = {"ferplus": "fer2013"}
"""Databases whose images are another's."""

LEAST: dict[str, float] = {
    "seed": 0,
    "batch_size": 1,
    "max_iterations": 1,
    "iterations_per_round": 1,
    "time_budget": 0,
    "early_stop": 0,
    "double_every": 0,
    "undo_beyond": 0,
    "stage2_share": 0,
    "shared_layers": 0,
    "learning_rate.base": 0,
    "learning_rate.halve_every": 1,
    "momentum": 0,
    "kappa": 0,
    "eta.z": 0,
    "eta.V": 0,
    "eta.x": 0,
    "eta.W": 0,
    "dataset.shift": 0,
    "dataset.fold": EVERY_FOLD,
    "dataset.image_size": 0,
    "dataset.crops": 1,
    "search.population": 1,
    "search.noise.coefficient": 0,
    "search.noise.ratio": 0,
    "evaluation_batch": 1,
    "execution.devices": 0,
    "replicas": 1,
    "fidelity.drawn": 0,
    "fidelity.seeds": 1,
}

ALL = "all"

WORDS = {ALL: "", "coefficients": "lambda_", "ratios": "p_"}
"""What `tune` may name instead of single hyper-parameters, and how those begin."""


MOST: dict[str, float] = {
    "seed": 2**32 - 1,
    "momentum": 0.999999,
    "dataset.fold": data.FOLDS - 1,
    "stage2_share": 1,
}

WHICH: dict[str, Sequence[int]] = {
    "dataset.channels": (0, 1, 3),
    "dataset.classes": (0, 6, 7),
    "stage1_settings": (1, 2),
}
"""The only values of a number."""


FIELDS = (
    *(*CHOICES, *WHICH, *LEAST, *OPTIONAL),
    "class_weights",
    "tune",
    "reevaluate_incumbent",
    "common_random_numbers",
    "fidelity.rounds",
    "dataset.align",
    "dataset.held_out",
    "dataset.mask_absent_classes",
    "dataset.mirror",
    "dataset.sequence_pattern",
    "dataset.subject_pattern",
    "dataset.train_on_target_fold",
    "dataset.validate_with_crops",
    *(
        f"{group}.{name}"
        for group in ("fixed", "search.start")
        for names in HYPER_NAMES
        for name in names
    ),
    *(
        f"search.{group}.{name}"
        for group in ("center", "initial_width", "bounds")
        for name in ("coefficient", "ratio")
    ),
)
"""All that a config has (configs/common.py), constants of optimisers aside."""


def check_complete(config: ConfigDict, where: str = "") -> None:
    """Checks that a config of a user's file has every field.

    Args:
      config: of the file.
      where: begins the message, where a command has several.

    Raises:
      InputError: one is missing, as where a group was replaced as a whole.
    """
    present = dict(flatten(config.to_dict()))
    missing = [field for field in FIELDS if field not in present]
    if not missing and config.search.optimizer in OPTIMIZERS.keys() - config.search:
        missing = [f"search.{config.search.optimizer}"]
    if missing:
        raise InputError(
            f"{where}config.{missing[0]}: is missing; see configs/common.py"
        )


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


def _check(config: ConfigDict) -> None:
    """Checks each value by itself."""
    values = dict(flatten(config.to_dict()))
    for field, value in values.items():
        if value is None and field not in OPTIONAL:
            raise InputError(f"config.{field}: None is no value for it")
    check_finite(values)
    for field, choices in CHOICES.items():
        check_known(f"config.{field}", values[field], choices)
    target = values["dataset.target"]
    if target:
        check_known("config.dataset.target", target, data.DATASETS)
    source = values["dataset.name"]
    elsewhere = values["dataset.target_dir"] not in (None, values["dataset.dir"])
    same = {SAME_IMAGES.get(name, name) for name in (source, target)}
    if target and len(same) == 1 and not (target == "folder" and elsewhere):
        raise InputError(
            f"config.dataset.target: {target} has the images of dataset.name, "
            f"{source}; choose another database"
        )
    if values["dataset.train_on_target_fold"] and not target:
        raise InputError(
            "config.dataset.train_on_target_fold: True needs a dataset.target"
        )
    if values["dataset.train_on_target_fold"] and values["dataset.fold"] != EVERY_FOLD:
        judged = "tune" if config.tune and not config.replay else "early_stop"
        if judged == "tune" or values["early_stop"]:
            raise InputError(
                "config.dataset.train_on_target_fold: True trains on all that config."
                f"{judged} could go by; leave one of them out"
            )
    for field, numbers in WHICH.items():
        if values[field] not in numbers:
            raise InputError(
                f"config.{field}: {values[field]} must be one of "
                f"{', '.join(map(str, numbers))}"
            )
    for number in values["fidelity.rounds"]:
        if not isinstance(number, int) or number < 1:
            raise InputError(
                f"config.fidelity.rounds: {number!r} is no round; rounds are counted "
                "from 1"
            )
    check_ranges(values, LEAST, MOST)
    last = values["seed"] + values["replicas"] - 1
    if last > MOST["seed"]:
        raise InputError(
            f"config.replicas: the last of {values['replicas']} has the seed {last}, "
            f"which is too large; the most is {MOST['seed']}"
        )
    if values["max_iterations"] < values["iterations_per_round"]:
        raise InputError(
            f"config.max_iterations: {values['max_iterations']} is less than one round "
            f"of iterations_per_round = {values['iterations_per_round']}; give a "
            "shorter one, and a learning_rate.halve_every that suits (a quarter of all)"
        )


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
    _check(config)
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


def expand(
    tune: str | Sequence[str], names: Sequence[str], held: bool
) -> tuple[str, ...]:
    """Single names for groups; a command line gives `p_z,p_x` as one word.

    Args:
      tune: of `WORDS`, and of `names`.
      names: of the network's hyper-parameters.
      held: of `is_held`; `all` leaves out what candidates cannot tell apart then.

    Raises:
      InputError: a word is neither.
    """
    entries = [tune] if isinstance(tune, str) else tune
    words = [
        word.strip(" ()[]'\"") for entry in entries for word in str(entry).split(",")
    ]
    found: list[str] = []
    for word in filter(None, words):
        if word in WORDS:
            left_out = BLIND if word == ALL and held else None
            group = (name for name in names if name.startswith(WORDS[word]))
            found += [name for name in group if name != left_out]
        elif word in names:
            found.append(word)
        else:
            known = [*WORDS, *names]
            raise InputError(
                f"tune: {word!r} is none of this network's hyper-parameters"
                f"{suggest(word, known)}; choose from {', '.join(known)}, or ()"
            )
    return tuple(found)
