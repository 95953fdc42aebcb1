"""What a round of Algorithm 1 found, and its record."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import struct

from surrojax.evaluate import Evaluation
from surrojax.fields import Record, finite_or_none
from surrojax.sites import Hyper, named


@struct.dataclass
class Outcome:
    """What a round found; of R replicas, with a leading axis.

    Attributes:
      diverged: `[]` bool: no setting gave finite losses, and the state is the old one.
      equal: `[]` bool: both settings of stage 1 are the same one, or only the
        current is trained.
      winner: `[]` int32: 0 where the current best was kept; 1 where the previous, or
        the network of the round before, whose setting it is.
      settings: `Hyper` `[2]`, the current and the previous best.
      losses: of stage 1, means over the round; `[S]`, of the settings trained.
      original: `Evaluation` `[S]`; `[2]` where rounds may be undone: the second is of
        the network of the round before.
      surrogate: the same; None where none is fitted.
      rate: `[]` the learning rate of the last step.
      candidates: `Hyper` `[N]`; None where nothing is tuned, as all that follow.
      scores: `[N]` of the candidates.
      evaluations: `Evaluation` `[N]`.
      leader: `Hyper`, the current best of the next round.
      leader_score: `[]`.
    """

    diverged: jax.Array
    equal: jax.Array
    winner: jax.Array
    settings: Hyper
    losses: Any
    original: Evaluation
    surrogate: Evaluation | None
    rate: jax.Array
    candidates: Hyper | None = None
    scores: jax.Array | None = None
    evaluations: Evaluation | None = None
    leader: Hyper | None = None
    leader_score: jax.Array | None = None

    @property
    def undone(self) -> jax.Array:
        """`[]` bool: the network is that of the round before."""
        return self.equal & (self.winner == 1)


def record_of(outcome: Outcome, plan: Sequence[int]) -> Record:
    """A round's record of plain numbers and strings.

    Args:
      outcome: of one run.
      plan: NI of each round so far, this one included.
    """
    found = jax.device_get(outcome)
    winner, undone = int(found.winner), bool(found.undone)
    trained = ("current",) if found.equal else ("current", "previous")

    def loss(values: Any) -> float | None:
        return None if undone else finite_or_none(values[winner])

    record: Record = {
        "round": len(plan),
        "step": sum(plan),
        "iterations": plan[-1],
        "learning_rate": float(found.rate),
        "hyper": named(found.settings, winner),
        "chosen": "before" if undone else trained[winner],
        "stage1": {
            name: {
                "original": _evaluation(found.original, index),
                "surrogate": _evaluation(found.surrogate, index),
            }
            for index, name in enumerate(trained)
        },
        "original": _evaluation(found.original, winner),
        **({"undone": named(found.settings, 0)} if undone else {}),
        "training_loss": loss(found.losses["loss"]),
    }
    if found.surrogate is not None:
        record["surrogate"] = _evaluation(found.surrogate, winner)
        record["surrogate_training_loss"] = loss(found.losses["surrogate_loss"])
        record["euclidean"] = {
            site: loss(value)
            for site, value in found.losses["euclidean"]._asdict().items()
            if value is not None
        }
    if found.candidates is not None:
        record["candidates"] = [
            {
                "hyper": named(found.candidates, index),
                "score": finite_or_none(score),
                "validation_accuracy": float(found.evaluations.accuracy[index]),
                "validation_cross_entropy": finite_or_none(
                    found.evaluations.cross_entropy[index]
                ),
            }
            for index, score in enumerate(found.scores)
        ]
        record["current_best"] = named(found.leader)
        record["current_best_score"] = finite_or_none(found.leader_score)
    return record


def _evaluation(result: Evaluation | None, index: int) -> Record | None:
    if result is None:
        return None
    return {
        "validation_accuracy": float(result.accuracy[index]),
        "validation_frame_accuracy": float(result.frame_accuracy[index]),
        "validation_cross_entropy": finite_or_none(result.cross_entropy[index]),
    }
