"""Fields of a config that have no effect beside others, for who gives one of them."""

from collections.abc import Callable, Iterable, Sequence

from ml_collections import ConfigDict

from surrojax import data
from surrojax.run.execution import tunes
from surrojax.search import OPTIMIZERS
from surrojax.settings import resolve
from surrojax.sites import GROUPS

Why = Callable[[ConfigDict], str | None]
"""Of a checked config: why a field has no effect beside the others; None: it has."""


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
        if reasons[0] is not None and all(reasons):
            found[field] = reasons[0]
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


def _beside(field: str, *values: object) -> Why:
    """Only beside some values of another field."""

    def why(config: ConfigDict) -> str | None:
        *group, name = field.split(".")
        value = config[group[0]][name] if group else config[name]
        if value in values:
            return None
        return f"config.{field} is {value!r}, not {' or '.join(map(repr, values))}"

    return why


def _moved(name: str) -> Why:
    """Only where this hyper-parameter is searched."""
    return lambda config: (
        None if name in config.tune else f"config.tune leaves {name} out"
    )


def _measured(config: ConfigDict) -> str | None:
    return None if config.fidelity.rounds else "config.fidelity.rounds is empty"


def _elsewhere(config: ConfigDict) -> str | None:
    return None if config.dataset.target else "there is no config.dataset.target"


def _cropped(config: ConfigDict) -> str | None:
    return None if config.dataset.crops > 1 else "config.dataset.crops is 1"


def _names(config: ConfigDict) -> list[str]:
    """The databases of a run."""
    of = config.dataset
    return [name for name in (of.name, of.target) if name]


def _only_of(*databases: str) -> Why:
    """Only where one of these is read."""

    def why(config: ConfigDict) -> str | None:
        names = _names(config)
        if set(names) & set(databases):
            return None
        return f"{' and '.join(names)} {'have' if names[1:] else 'has'} none"

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
        ),
        _searched,
    ),
    (("eta",), _beside("surrogate", "fitted")),
    (("selection",), _beside("stage1_settings", 2)),
    (("undo_beyond",), _beside("stage1_settings", 1)),
    *(((f"search.{name}",), _beside("search.optimizer", name)) for name in OPTIMIZERS),
    *(((f"search.start.{name}",), _moved(name)) for name in GROUPS),
    (("fidelity.drawn", "fidelity.seeds"), _measured),
    (("dataset.target_dir", "dataset.mask_absent_classes"), _elsewhere),
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
