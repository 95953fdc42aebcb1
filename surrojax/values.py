"""Every field of a config, and the values that it may have."""

from collections.abc import Collection, Sequence
from typing import get_args

from ml_collections import ConfigDict

from surrojax import data, networks
from surrojax.data import oulu, video
from surrojax.errors import InputError
from surrojax.fields import check_known, flatten, suggest
from surrojax.layout import Together
from surrojax.losses import NORMS, OBJECTIVES
from surrojax.method import BLIND, FIRST_SETTINGS, SURROGATES
from surrojax.networks.layers import ConvForm
from surrojax.ranges import check_finite, check_ranges
from surrojax.search import OPTIMIZERS
from surrojax.sites import GROUPS, HYPER_NAMES, Hyper

CONVOLUTIONS = ("auto", *get_args(ConvForm))

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
    "dataset.camera": oulu.CAMERAS,
    "dataset.light": oulu.LIGHTS,
    "dataset.frames": video.CHOICES,
    "dataset.stream": ("auto", "always", "never"),
    "execution.settings": ("auto", *get_args(Together)),
    "execution.candidates": ("auto", *get_args(Together)),
    "execution.rounds": ("auto", "fused", "parts"),
}

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

WORDS = {
    ALL: Hyper._fields,
    "coefficients": ("coefficient",),
    "ratios": ("ratio",),
}
"""What `tune` may name instead of single hyper-parameters, and their groups."""

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


def check(config: ConfigDict) -> None:
    """Checks the values of a config, as far as no network decides what they may be.

    Raises:
      InputError: one is none that its field may have; the message names the field.
    """
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
            group = (name for name in names if GROUPS[name] in WORDS[word])
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
