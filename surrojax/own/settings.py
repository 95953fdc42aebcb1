"""The method's settings for a user's own network, checked one by one."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any

import jax
import numpy as np

from surrojax.errors import InputError
from surrojax.fields import are_words, check_known, suggest
from surrojax.keys import is_key
from surrojax.losses import NORMS, OBJECTIVES, Norm, Objective
from surrojax.method import FIRST_SETTINGS, FirstSetting
from surrojax.search import OPTIMIZERS, Search, constants_of, make_search
from surrojax.sites import GROUPS, HYPER_NAMES
from surrojax.space import UNITS, Space
from surrojax.values import ALL

ROUNDS, NI = 5, 5_000
"""Rounds of a run where NI is not said, and the most steps of one."""

RATE = 0.03
"""SGD's learning rate at first, where none is said."""

NOISE = {"coefficient": 0.3, "ratio": 0.3}

LOWEST, HIGHEST = 0.02, 0.8
"""Between which a dropout ratio lies at first."""

BOUNDS = {"coefficient": (1e-16, 1e-2), "ratio": (0.01, 0.95)}
CENTER = {"coefficient": 1e-5, "ratio": math.sqrt(LOWEST * HIGHEST)}
WIDTH = {"coefficient": 1.0, "ratio": math.log(HIGHEST / LOWEST) / 2}

AROUND = {"coefficient": 1.0, "ratio": 0.5}
"""Half the width of the box around a beginning that is said."""

FER2013: dict[str, Any] = {
    "tune": ALL,
    "center": {"ratio": 0.5},
    "start": {"p_V": 0.1, "p_W": 0.1},
    "first_setting": "candidate",
}
"""The beginning that was chosen on FER2013: `tune(..., **FER2013)`.

Penalties are searched as well, and ratios begin around 0.5 at what the layers receive,
0.1 at their weights.
"""

PAPER: dict[str, Any] = {
    "tune": ALL,
    "center": {"ratio": 0.5},
    "start": {},
    "surrogate": "fitted",
    "stage1_settings": 2,
    "stage2_share": 1.0,
    "objective": "accuracy",
    "reevaluate_incumbent": False,
    "first_setting": "candidate",
    "undo_beyond": 0.0,
    "noise": {},
}
"""The paper's form (Section 3.1), which short runs lose by: `tune(..., **PAPER)`.

Lengths and rates are not in it: the paper's `iterations_per_round` is 1,000, its
`learning_rate` 0.01, its `halve_every` 4,000.
"""


ELSEWHERE = {
    "descent": "optimizer",
    "epochs": "max_iterations",
    "iterations": "max_iterations",
    "lr": "learning_rate",
    "n_trials": "max_iterations",
    "num_steps": "max_iterations",
    "steps": "max_iterations",
}
"""What a setting is called elsewhere, or was before."""


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    The defaults are the form that was found to tune best on FER2013 (docs/results.md),
    with a beginning of no data set: ratios alone are searched, from `LOWEST` to
    `HIGHEST`. `FER2013` has the beginning that was chosen there; `PAPER` the paper's
    form, lengths and learning rates aside.

    Attributes:
      max_iterations: steps of the network (MaxIter).
      iterations_per_round: NI; None: a fifth of them, at most 5,000.
      tune: names of hyper-parameters, or `coefficients` and `ratios`; () trains the
        network alone; `all`: all that it has, but for lambda_z where candidates train
        nothing below z, which cannot tell it apart.
      fixed: by name, the value of those that are not searched; else 0.
      batch_size: B.
      learning_rate: the rate at first; None: 0.03, for SGD.
      halve_every: steps after which the rate is halved, smoothly; None: a quarter of
        all, so that it falls by 16.
      momentum: of SGD.
      eta: weights of the Euclidean losses at z, V, x, W (eq. 9).
      kappa: weight of the feature sparseness in a score (eq. 11).
      norm: of the penalties: `l1`, `l2`, `l21`.
      objective: what candidates are scored by: `accuracy` or `cross_entropy`.
      selection: the same, of stage 1's two settings.
      stage1_settings: 2: current and previous best (line 8); 1: the current alone.
      stage2_share: how much of NI the candidates train, a step at least.
      shared_layers: where the surrogate is shared, how many of the trunk's last layers
        candidates train as well.
      double_every: rounds after which NI doubles each time; 0: never.
      search: `pso`, `de` or `ga`.
      constants: of the search, where they are not the paper's.
      population: N.
      center, width, bounds: by group (`coefficient`, `ratio`): where the search begins,
        half the width of its box (decades; natural logarithm), and its bounds. Those
        of a group that is left out: `CENTER`, `WIDTH`, within the bounds; or `AROUND`
        the center or the start that is said.
      start: by name, a beginning of its own.
      noise: by group, what moves each proposal, in the units of `width`.
      reevaluate_incumbent: whether the leader is scored again in every round.
      first_setting: what the network is trained with in round 1: `center`, around which
        the search begins; or `candidate`, the first that is drawn there.
      undo_beyond: standard errors by which validation accuracy may fall in a round with
        another setting than before; where it falls further the network goes on as it
        was, with its setting. 0: never, as where stage 1 has two settings.
      common_random_numbers: whether candidates see the same minibatches and masks.
      evaluation_batch: inputs that are evaluated at a time.
    """

    max_iterations: int = 10_000
    iterations_per_round: int | None = None
    tune: Sequence[str] = ("ratios",)
    fixed: Mapping[str, float] = field(default_factory=dict)
    batch_size: int = 64
    learning_rate: float | None = None
    halve_every: float | None = None
    momentum: float = 0.9
    eta: Mapping[str, float] = field(default_factory=dict)
    kappa: float = 1e-5
    norm: Norm = "l1"
    objective: Objective = "cross_entropy"
    selection: Objective = "accuracy"
    stage1_settings: int = 1
    stage2_share: float = 0.25
    shared_layers: int = 0
    double_every: int = 0
    search: str = "pso"
    constants: Mapping[str, float] = field(default_factory=dict)
    population: int = 6
    center: Mapping[str, float] = field(default_factory=dict)
    width: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=lambda: dict(NOISE))
    reevaluate_incumbent: bool = True
    first_setting: FirstSetting = "center"
    undo_beyond: float = 3.0
    common_random_numbers: bool = True
    evaluation_batch: int = 512

    def __post_init__(self) -> None:
        for name, value in vars(self).copy().items():
            object.__setattr__(self, name, _plain(value))
        if callable(self.learning_rate):
            raise InputError(
                "learning_rate: is a function, where a number is wanted; the rate "
                "begins there and falls by halve_every"
            )
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name in _OPEN:
                continue
            if isinstance(value, str) or not isinstance(value, Real):
                raise InputError(f"{name}: {value!r} is no number")
            if not (
                isinstance(value, Integral if name in _WHOLE else Real)
                and math.isfinite(value)
                and least <= float(value) <= most
            ):
                raise InputError(
                    f"{name}: {value!r} is out of range; "
                    + ("whole numbers, " if name in _WHOLE else "")
                    + f"the least is {least:g}"
                    + (f", the most {most:g}" if math.isfinite(most) else "")
                )
        if callable(self.search) or hasattr(self.search, "update"):
            raise InputError(
                "search: is pso, de or ga; what trains the network is "
                "optimizer=optax.adam"
            )
        for name in ("reevaluate_incumbent", "common_random_numbers"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise InputError(
                    f"{name}: {getattr(self, name)!r} must be True or False"
                )
        for name, choices in _CHOICES.items():
            check_known(name, getattr(self, name), choices)
        constants = {"constants": constants_of(self.search)}
        for name, known in (_KEYS | constants).items():
            _check_numbers(name, getattr(self, name), known)
        if not are_words(self.tune):
            raise InputError(
                f"tune: {self.tune!r} is no names of hyper-parameters, as "
                "('p_z', 'p_x') is; 'all' is all of them, () is none"
            )
        if self.max_iterations < self.steps_per_round:
            raise InputError(
                f"max_iterations: {self.max_iterations} is less than one round of "
                f"iterations_per_round = {self.steps_per_round}"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any], others: Sequence[str] = ()) -> "Settings":
        """Of keyword arguments.

        Args:
          given: by name.
          others: further arguments of the function that was called.

        Raises:
          InputError: one is unknown or out of range; a near name is suggested.
        """
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                words = [*others, *known]
                meant = suggest(ELSEWHERE.get(name, name), words)
                steps = ", which counts steps" if name in ("epochs", "n_trials") else ""
                raise InputError(
                    f"{name}: is no setting{meant}{steps}; there are {', '.join(words)}"
                )
        return cls(**given)

    @property
    def steps_per_round(self) -> int:
        """NI."""
        if self.iterations_per_round is not None:
            return self.iterations_per_round
        return max(1, min(NI, self.max_iterations // ROUNDS))

    @property
    def box(self) -> tuple[dict[str, float], dict[str, float]]:
        """Where the search begins: center and half-width by group, as `make_space`'s.

        Of a group of which bounds alone are said, as far as both ranges reach.
        """
        center, width = dict(CENTER), dict(WIDTH)
        said = {GROUPS[name] for name in self.start} | self.center.keys()
        for group, given in self.bounds.items():
            ends = list(given) if isinstance(given, Iterable) else []
            if len(ends) == 2 and 0 < ends[0] < ends[1]:
                reach = math.exp(UNITS[group] * width[group])
                low = max(ends[0], center[group] / reach)
                high = min(ends[1], center[group] * reach)
                low, high = (low, high) if low < high else ends
                center[group] = math.sqrt(low * high)
                width[group] = math.log(high / low) / 2 / UNITS[group]
        width |= {group: AROUND[group] for group in said}
        return center | dict(self.center), width | dict(self.width)

    @property
    def rate(self) -> float:
        """The learning rate at first."""
        return RATE if self.learning_rate is None else self.learning_rate

    @property
    def halving(self) -> float:
        """Steps after which the learning rate is halved."""
        return self.max_iterations / 4 if self.halve_every is None else self.halve_every

    def search_in(self, space: Space) -> Search:
        """The optimiser, within a space.

        Raises:
          InputError: the population is too small.
        """
        noise = {"coefficient": 0.0, "ratio": 0.0, **self.noise}
        return make_search(
            self.search,
            space.lower,
            space.upper,
            self.population,
            self.constants,
            space.deviation(noise),
        )


def _plain(given: Any) -> Any:
    """With Python's numbers in place of JAX's and NumPy's."""
    if isinstance(given, Mapping):
        return {name: _plain(value) for name, value in given.items()}
    if type(given) in (tuple, list):
        return type(given)(map(_plain, given))
    if isinstance(given, np.generic | np.ndarray | jax.Array):
        if is_key(given):
            return given
        values = np.asarray(given).tolist()
        return tuple(values) if isinstance(values, list) else values
    return given


def _check_numbers(name: str, given: Any, known: Sequence[str]) -> None:
    """Sees that a setting is a dict of finite numbers, or of several (`bounds`)."""
    if not isinstance(given, Mapping):
        raise InputError(
            f"{name}: {given!r} is no dict; its keys are of {', '.join(known)}"
        )
    for key, value in given.items():
        check_known(name, key, known)
        several = name == "bounds" and not isinstance(value, str | Real)
        for number in value if several else (value,):
            if not isinstance(number, Real) or not math.isfinite(number):
                raise InputError(f"{name}: {key}: {value!r} is no finite number")
            if name in _NOT_NEGATIVE and number < 0:
                raise InputError(f"{name}: {key}: {value!r} is below 0, the least")
            if name == "start" and number == 0:
                raise InputError(
                    f"{name}: {key}: {value!r} cannot be begun at, for the search is "
                    f"in logarithms; begin above 0, or hold it: fixed={{{key!r}: 0}} "
                    f"and a tune without {key}"
                )


_RANGES: dict[str, tuple[float, float]] = {
    "max_iterations": (1, math.inf),
    "iterations_per_round": (1, math.inf),
    "batch_size": (1, math.inf),
    "learning_rate": (0, math.inf),
    "halve_every": (1, math.inf),
    "momentum": (0, 0.999999),
    "kappa": (0, math.inf),
    "stage2_share": (0, 1),
    "undo_beyond": (0, math.inf),
    "shared_layers": (0, math.inf),
    "double_every": (0, math.inf),
    "population": (1, math.inf),
    "evaluation_batch": (1, math.inf),
}

_OPEN = ("iterations_per_round", "halve_every", "learning_rate")
"""Decided by others where they are None."""

_WHOLE = (
    "max_iterations",
    "iterations_per_round",
    "batch_size",
    "double_every",
    "shared_layers",
    "population",
    "evaluation_batch",
)

_CHOICES: dict[str, Collection[Any]] = {
    "norm": NORMS,
    "objective": OBJECTIVES,
    "selection": OBJECTIVES,
    "stage1_settings": (1, 2),
    "search": OPTIMIZERS,
    "first_setting": FIRST_SETTINGS,
}

_NOT_NEGATIVE = ("eta", "noise", "start", "width")

_NAMES = tuple(GROUPS)
_GROUPS = ("coefficient", "ratio")

_KEYS: dict[str, Sequence[str]] = {
    "fixed": _NAMES,
    "start": _NAMES,
    "eta": HYPER_NAMES.coefficient._fields,
    "center": _GROUPS,
    "width": _GROUPS,
    "bounds": _GROUPS,
    "noise": _GROUPS,
}
