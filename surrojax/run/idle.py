"""Fields of a config that have no effect beside others, for who gives one of them."""

from collections.abc import Callable, Iterable, Sequence

from ml_collections import ConfigDict

from surrojax import data
from surrojax.fields import flatten
from surrojax.run.execution import tunes
from surrojax.search import OPTIMIZERS
from surrojax.settings import folds, names_of, resolve
from surrojax.sites import GROUPS, HYPER_NAMES

Why = Callable[[ConfigDict], str | None]
"""Of a resolved config: why a field has no effect beside the others; None: it has."""


def idle(configs: Sequence[ConfigDict], fields: Iterable[str]) -> dict[str, str]:
    """Which of some fields have no effect, and why.

    Args:
      configs: of the runs of one command; what has an effect in any is not told.
      fields: as `search.de.F`, of the config.

    Raises:
      InputError: a config cannot be run.
    """
    resolved = [resolve(config) for config in configs]
    found = {}
    for field in fields:
        reasons = [_why(config, field) for config in resolved]
        told = dict.fromkeys(reason for reason in reasons if reason is not None)
        if None not in reasons:
            found[field] = ", and ".join(told)
    return found


def _why(config: ConfigDict, field: str) -> str | None:
    """Why a field has no effect in a run of a resolved config; None: it has."""
    for groups, why in RULES:
        if any(f"{field}.".startswith(f"{group}.") for group in groups):
            reason = why(config)
            if reason is not None:
                return reason
    return None


def _searched(config: ConfigDict) -> str | None:
    if config.replay:
        return "the schedule of config.replay is followed"
    return None if tunes(config) else "nothing is searched where config.tune is empty"


def _replayed(config: ConfigDict) -> str | None:
    return _searched(config) if config.replay else None


def _beside(field: str, wanted: object) -> Why:
    """Only beside this value of another field."""

    def why(config: ConfigDict) -> str | None:
        value = dict(flatten(config.to_dict()))[field]
        if value == wanted:
            return None
        return f"config.{field} is {value!r}, not {wanted!r}"

    return why


def _has(name: str) -> Why:
    """Only where the network has this hyper-parameter."""
    return lambda config: (
        None if name in names_of(config) else f"{name} is not in this network"
    )


def _moved(name: str) -> Why:
    """Only where this hyper-parameter is searched."""
    return lambda config: None if name in config.tune else f"{name} is not searched"


def _moves(group: str) -> Why:
    """Only where hyper-parameters of this group are searched."""

    def why(config: ConfigDict) -> str | None:
        # The fixed setting that a comparison across databases has lies at the center.
        if _compared(config) or any(GROUPS[name] == group for name in config.tune):
            return None
        return f"no {group} is searched"

    return why


def _begun_at(group: str) -> Why:
    """Only where one of this group that is searched has no beginning of its own."""

    def why(config: ConfigDict) -> str | None:
        own = [config.search.start[n] for n in config.tune if GROUPS[n] == group]
        if _compared(config) or not all(own):
            return None
        return f"each {group} that is searched has a config.search.start of its own"

    return why


def _penalised(config: ConfigDict) -> str | None:
    penalties = HYPER_NAMES.coefficient
    if config.replay or _compared(config):  # each has some, or may have
        return None
    if any(name in config.tune or config.fixed[name] for name in penalties):
        return None
    return "no coefficient is searched or fixed above 0"


def _measured(config: ConfigDict) -> str | None:
    return None if config.fidelity.rounds else "config.fidelity.rounds is empty"


def _elsewhere(config: ConfigDict) -> str | None:
    return None if config.dataset.target else "there is no config.dataset.target"


def _compared(config: ConfigDict) -> bool:
    """Whether it is that of a comparison across databases, on all folds."""
    return bool(config.dataset.target) and len(folds(config)) > 1


def _alone(config: ConfigDict) -> str | None:
    both = "all folds are compared with and without it"
    return both if _compared(config) else None


def _cropped(config: ConfigDict) -> str | None:
    return None if config.dataset.crops > 1 else "config.dataset.crops is 1"


def _names(config: ConfigDict) -> list[str]:
    """The databases of a run."""
    of = config.dataset
    return [name for name in (of.name, of.target) if name]


def _only_of(database: str) -> Why:
    """Only where this one is read."""

    def why(config: ConfigDict) -> str | None:
        names = _names(config)
        other = f"it is for {database}, not {' and '.join(names)}"
        return None if database in names else other

    return why


def _of_files(config: ConfigDict) -> str | None:
    names = _names(config)
    if set(names) & set(data.READERS):
        return None
    return f"the images of {' and '.join(names)} are cut-out faces already"


def _lies_somewhere(config: ConfigDict) -> str | None:
    drawn = config.dataset.name == "faces"
    return "config.dataset.name is 'faces', which are drawn by code" if drawn else None


RULES: tuple[tuple[Sequence[str], Why], ...] = (
    (("tune",), _replayed),
    (
        (
            *("search", "objective", "selection", "kappa", "eta", "surrogate"),
            *("shared_layers", "stage1_settings", "stage2_share", "first_setting"),
            *("reevaluate_incumbent", "common_random_numbers", "undo_beyond"),
            *("fidelity.drawn", "fidelity.seeds"),
        ),
        _searched,
    ),
    (("eta",), _beside("surrogate", "fitted")),
    *(
        ((f"eta.{site}",), _has(name))
        for site, name in HYPER_NAMES.coefficient._asdict().items()
    ),
    (("selection",), _beside("stage1_settings", 2)),
    (("undo_beyond",), _beside("stage1_settings", 1)),
    (("norm",), _penalised),
    *(((f"search.{name}",), _beside("search.optimizer", name)) for name in OPTIMIZERS),
    *(((f"search.start.{name}",), _has(name)) for name in GROUPS),
    *(((f"search.start.{name}",), _moved(name)) for name in GROUPS),
    *(
        ((f"search.{of}.{group}",), _moves(group))
        for of in ("center", "initial_width", "bounds", "noise")
        for group in HYPER_NAMES._fields
    ),
    *(((f"search.center.{group}",), _begun_at(group)) for group in HYPER_NAMES._fields),
    (("fidelity.drawn", "fidelity.seeds"), _measured),
    (("dataset.target_dir", "dataset.mask_absent_classes"), _elsewhere),
    (("dataset.train_on_target_fold",), _alone),
    (("dataset.validate_with_crops",), _cropped),
    (("dataset.align",), _of_files),
    (("dataset.dir",), _lies_somewhere),
    *(
        ((f"dataset.{option}",), _only_of(database))
        for database, options in data.READERS.items()
        for option in options
    ),
)
"""Fields, or groups of them, and why they have no effect; the first reason is told."""
