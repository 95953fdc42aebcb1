"""What config.json says of a run of `tune`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from surrojax.fields import Record
from surrojax.networks.stand_in import StandIn
from surrojax.own.identity import name_of, programs_of, shapes_of
from surrojax.own.method import own_of, plain_of
from surrojax.own.settings import Settings
from surrojax.own.training import Job
from surrojax.run.diary import described
from surrojax.run.replay import hash_of
from surrojax.weights import flatten
from surrojax.weights import hash_of as weights_hash


def describe(
    job: Job,
    options: Settings,
    network: nn.Module,
    surrogate: Any,
    variables: Mapping[str, Any] | None,
) -> Record:
    """What config.json holds, and what tells this run from another.

    Args:
      job: the run.
      options: its settings.
      network: of flax.linen.
      surrogate: a module of flax.linen, or one of `SURROGATES`.
      variables: of `tune`.
    """
    method, limits = job.method, job.limits
    given = {
        name: value if isinstance(value, int | float | str | None) else repr(value)
        for name, value in asdict(options).items()
    }
    given |= {
        "learning_rate": options.rate,
        "iterations_per_round": options.steps_per_round,
        "halve_every": options.halving,
    }
    given |= dict(zip(("center", "width"), map(repr, options.box), strict=True))
    plain = plain_of(method)
    origin = {}
    if method.schedule is not None:
        origin["schedule"] = hash_of(method.schedule)
    if isinstance(network, StandIn):
        origin["variables"] = weights_hash(network.weights())
    elif variables is not None:
        origin["variables"] = weights_hash(flatten(jax.tree.map(np.asarray, variables)))
    if isinstance(surrogate, StandIn):
        origin["surrogate"] = weights_hash(surrogate.weights())
    config = given | {
        "seed": job.seed,
        "network": name_of(network),
        "preprocess": name_of(plain.preprocess),
        "augment": name_of(plain.change),
        "layers": [layer.name for layer in own_of(method).layers],
        "surrogate": surrogate if isinstance(surrogate, str) else name_of(surrogate),
        "tune": list(method.space.tune),
        "class_weights": list(method.class_weights or ()),
        "time_budget": limits.time_budget,
        "early_stop": limits.early_stop,
    }
    if method.descent is not None:
        config["optimizer"] = name_of(method.descent)
    inputs = np.asarray(job.dataset.train.images[:1])
    stored = {"shape": list(inputs.shape[1:]), "type": str(inputs.dtype)}
    batch = jax.ShapeDtypeStruct((method.batch_size, *inputs.shape[1:]), inputs.dtype)
    return described(method, job.dataset, config, origin) | {
        "inputs": stored,
        "shapes": shapes_of(method),
        "programs": programs_of(method, batch),
    }
