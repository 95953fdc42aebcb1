"""What stays the same throughout a run, in one frozen object."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, Protocol, get_args

import jax
import jax.numpy as jnp
import optax

from surrojax.class_weights import check_counted, weights_of
from surrojax.errors import InputError
from surrojax.evaluate import Views
from surrojax.layout import Layout
from surrojax.losses import Norm, Objective, softmax_cross_entropy, total_loss
from surrojax.networks import Pair, blank
from surrojax.networks.calls import Path
from surrojax.networks.macs import macs, shared_macs
from surrojax.networks.reach import reach
from surrojax.schedule import Schedule
from surrojax.search import Search
from surrojax.sgd import Arrays, Descent, Drawn, Net, fresh, learning_rate, sgd
from surrojax.sites import HYPER_NAMES, Sites
from surrojax.space import Space

Surrogate = Literal["fitted", "shared"]
SURROGATES: tuple[Surrogate, ...] = get_args(Surrogate)

FirstSetting = Literal["candidate", "center"]
FIRST_SETTINGS: tuple[FirstSetting, ...] = get_args(FirstSetting)


class Data(NamedTuple):
    """The two splits that a run may see. The test split is none of its business."""

    train: Arrays
    validation: Arrays


class Augment(Protocol):
    """How training images are changed at random."""

    def draw(self, key: jax.Array, count: int, /) -> Any:
        """What chance decides for `count` images: a tree of arrays."""

    def apply(self, changes: Any, images: jax.Array, /) -> jax.Array:
        """`[B, H, W, C]` uint8 to float, as the networks take them."""


class Choice(NamedTuple):
    """What chance decides of a step's minibatch.

    Attributes:
      rows: `[B]` int, of the training split.
      changes: of `Augment.draw`.
    """

    rows: jax.Array
    changes: Any


def is_held(surrogate: str, shared_layers: int) -> bool:
    """Whether candidates stand on a trunk of which they train nothing."""
    return surrogate == "shared" and not shared_layers


BLIND = HYPER_NAMES.coefficient.z
"""What candidates on a trunk that is held still cannot tell apart: its gradient goes
into the trunk."""


@dataclass(frozen=True, eq=False)
class Method:
    """The method and all its settings.

    Defaults are the paper's where it says one (Section 3.1).

    Attributes:
      pair: the original network and its surrogate.
      space: which hyper-parameters are searched, and where.
      search: the optimiser.
      augment: how training images are changed.
      views: how validation images are looked at.
      surrogate: `fitted`: the pair's own, fitted in stage 1 (the paper's); `shared`:
        the original's trunk, held still and shared by all candidates, which train its
        fully connected layers.
      shared_layers: how many of the trunk's last layers they train as well.
      population: N.
      batch_size: B.
      iterations_per_round: NI, the optimiser steps of a stage.
      stage1_settings: 2, the current best and the previous one (line 8); or 1, the
        current alone.
      stage2_share: how much of NI the candidates train, a step at least.
      double_every: rounds after which NI doubles, again and again; 0: never.
      learning_rate_base, learning_rate_halve_every: of `sgd.learning_rate`.
      momentum: of SGD.
      descent: what makes a step of a gradient; None: SGD with momentum (the paper's).
      eta: weights of the Euclidean losses (eq. 9).
      kappa: weight of the feature sparseness in a candidate's score (eq. 11).
      norm: of the sparseness terms (eq. 2, 3).
      class_weights: K numbers, by which the softmax loss of a sample is multiplied, and
        by which it counts in a score; None: 1. `surrojax.class_weights` makes them.
      objective: what a candidate's score measures on the validation set.
      selection: what stage 1 compares its two settings by, on the same set.
      common_random_numbers: whether all candidates of a round see the same
        minibatches, augmentations and dropout uniforms.
      reevaluate_incumbent: whether the leader joins every round's population.
      first_setting: the current best of round 1: `candidate`, the first that is drawn
        (the paper's); `center`, the defaults, around which all are drawn.
      undo_beyond: standard errors by which validation accuracy may fall in a round with
        another setting than before; where it falls further, the network is that of the
        round before, and its setting is held for another round. 0: never (the paper's),
        as where stage 1 has two settings to choose from.
      evaluation_batch: images that are evaluated at a time.
      layout: where all of it is worked on.
      schedule: settings that are given and not searched, in the order of the space's
        names; the space is `Values` and tunes nothing then. None: the method's own.

    Raises:
      InputError: the network has fewer than `shared_layers`.
    """

    pair: Pair
    space: Space
    search: Search
    augment: Augment
    views: Views
    surrogate: Surrogate = "fitted"
    shared_layers: int = 0
    population: int = 6
    batch_size: int = 64
    iterations_per_round: int = 1000
    stage1_settings: int = 2
    stage2_share: float = 1.0
    double_every: int = 0
    learning_rate_base: float = 0.01
    learning_rate_halve_every: float = 4000.0
    momentum: float = 0.9
    descent: Descent | None = None
    eta: Sites = Sites(1e-2, 1e-2, 1e-2, 1e-2)
    kappa: float = 1e-5
    norm: Norm = "l1"
    class_weights: tuple[float, ...] | None = None
    objective: Objective = "accuracy"
    selection: Objective = "accuracy"
    common_random_numbers: bool = True
    reevaluate_incumbent: bool = False
    first_setting: FirstSetting = "candidate"
    undo_beyond: float = 0.0
    evaluation_batch: int = 512
    layout: Layout = Layout()
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        if self.shared_layers and self.surrogate == "fitted":
            raise InputError(
                f"shared_layers: {self.shared_layers} wants surrogate=shared; a fitted "
                "one is trained whole, so give 0"
            )
        if self.shared_layers:
            _ = self.trained  # found once, at the latest here

    @property
    def tunes(self) -> bool:
        """Whether anything is searched; else the original is trained alone."""
        return self.space.dimensions > 0

    @property
    def tuned(self) -> str:
        """What is searched, in words."""
        if self.schedule is not None:
            return "nothing, a schedule is followed"
        return ", ".join(self.space.tune) or "nothing"

    @property
    def blind(self) -> str | None:
        """A line on what is searched though no candidate can tell it apart."""
        if BLIND not in self.space.tune or not is_held(
            self.surrogate, self.shared_layers
        ):
            return None
        return (
            f"{BLIND} is searched, but candidates train nothing below z and cannot "
            "tell it apart; leave it out of tune, or give shared_layers"
        )

    @property
    def undoes(self) -> bool:
        """Whether a round that ruins the network is undone."""
        return self.tunes and self.stage1_settings == 1 and self.undo_beyond > 0

    @property
    def stage2_iterations(self) -> int:
        """Steps of a candidate."""
        return max(1, round(self.stage2_share * self.iterations_per_round))

    @property
    def candidates(self) -> int:
        """Candidates of a round, the leader included where it is scored again."""
        return self.population + self.reevaluate_incumbent

    @property
    def fits(self) -> bool:
        """Whether stage 1 fits a surrogate."""
        return self.tunes and self.surrogate == "fitted"

    @cached_property
    def trained(self) -> frozenset[Path]:
        """Of the original's variables, those that candidates on its trunk train."""
        return reach(self.pair.original, blank(self.pair), self.shared_layers)

    def plan(self, max_iterations: int) -> tuple[int, ...]:
        """NI of each round of a run; a round that would pass MaxIter is not begun."""
        rounds: list[int] = []
        left = max_iterations
        while (steps := self.iterations_after(len(rounds))) <= left:
            rounds.append(steps)
            left -= steps
        return tuple(rounds)

    def iterations_after(self, done: int) -> int:
        """NI of the round that follows so many."""
        doubled = done // self.double_every if self.double_every else 0
        return int(self.iterations_per_round * 2**doubled)

    def of_length(self, iterations: int) -> "Method":
        """The method of rounds that have so many steps."""
        if iterations == self.iterations_per_round:
            return self
        return replace(self, iterations_per_round=iterations)

    def with_class_weights(
        self, given: Any, train: Any, validation: Any, classes: Sequence[str]
    ) -> "Method":
        """The method with class weights, where some are given.

        Args:
          given, classes: of `class_weights.weights_of`.
          train, validation: `[n]` int, the labels of either split.

        Raises:
          InputError: these are no weights of the classes, or no sample counts.
        """
        weights = weights_of(given, train, classes)
        if weights is None:
            return self
        check_counted(weights, validation)
        return replace(self, class_weights=weights)

    def softmax_loss(self, logits: jax.Array, labels: jax.Array) -> jax.Array:
        """Softmax loss (eq. 5) of a minibatch."""
        return softmax_cross_entropy(logits, labels, self.class_weights)

    def loss(
        self,
        logits: jax.Array,
        labels: jax.Array,
        sites: Sites,
        coefficient: Sites,
    ) -> jax.Array:
        """The loss (eq. 4) of a minibatch, which both stages minimise."""
        return total_loss(
            logits, labels, sites, coefficient, self.norm, self.class_weights
        )

    def learning_rate(self, step: jax.Array | int) -> Any:
        """The rate of a global step."""
        return learning_rate(
            step, self.learning_rate_base, self.learning_rate_halve_every
        )

    def rule(self, step: jax.Array | int) -> optax.GradientTransformation:
        """What a global step makes of a gradient."""
        descent = self.descent or partial(sgd, momentum=self.momentum)
        return descent(self.learning_rate(step))

    def fresh(self, variables: dict[str, Any]) -> Net:
        """A network with these variables, of which the optimiser remembers nothing."""
        return fresh(variables, self.rule(0))

    def draw(self, key: jax.Array, samples: int) -> Choice:
        """What chance decides of a step's minibatch.

        Args:
          key: for the minibatch of this step.
          samples: of the training split; they are drawn with replacement.
        """
        pick, change = jax.random.split(key)
        rows = jax.random.randint(pick, (self.batch_size,), 0, samples, jnp.int32)
        return Choice(rows, self.augment.draw(change, self.batch_size))

    def minibatch(
        self, choice: Choice, train: Arrays | Drawn
    ) -> tuple[jax.Array, jax.Array]:
        """Augmented images `[B, H, W, C]` and labels `[B]` of a step.

        Args:
          choice: of this step.
          train: the split to draw from, or what was drawn on the host.
        """
        if isinstance(train, Arrays):
            rows = choice.rows
            train = Drawn(train.images[rows], train.labels[rows])
        return self.augment.apply(choice.changes, train.images), train.labels


def macs_of(method: Method) -> dict[str, int]:
    """Multiply-accumulates of one image's way forward.

    Returns:
      `original`: through the network; `surrogate`: through a candidate.
    """
    return {
        "original": macs(method.pair.original, blank(method.pair)),
        "surrogate": candidate_macs(method),
    }


def candidate_macs(method: Method) -> int:
    """Multiply-accumulates of one image's way forward through a candidate."""
    if method.surrogate == "fitted":
        return macs(method.pair.surrogate, blank(method.pair))
    sharing = method.candidates if method.common_random_numbers else 1
    return shared_macs(method.pair, sharing, method.trained)
