"""Training of M-ResNet's parent on identities: softmax and center loss.

Wen et al., "A discriminative feature learning approach for deep face recognition", ECCV
2016; line 4 of Algorithm 1 begins with what comes out.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from ml_collections import ConfigDict

from surrojax import filenames, interrupts
from surrojax.data.augment import mirror, normalized, shift
from surrojax.data.identities import Identities, Photos, Sides, deal, read
from surrojax.errors import InputError
from surrojax.fields import Record, check_known, flatten
from surrojax.keys import key_of
from surrojax.losses import softmax_cross_entropy
from surrojax.networks.layers import uniform_fan_in
from surrojax.networks.mresnet import FaceNet
from surrojax.paths import path_of
from surrojax.ranges import check_finite, check_ranges
from surrojax.run.checkpoint import Checkpoints
from surrojax.run.execution import conv_form
from surrojax.run.progress import say
from surrojax.run.records import RunFolder
from surrojax.run.stream import fetch
from surrojax.values import CONVOLUTIONS
from surrojax.verification import Pairs, Verification, draw_pairs, verify
from surrojax.versions import versions
from surrojax.weights import save

LEAST = {
    "seed": 0,
    "dataset.height": 48,
    "dataset.width": 48,
    "dataset.window": 0.05,
    "dataset.shift": 0,
    "dataset.min_photos": 1,
    "dataset.held_out": 20,
    "dataset.validation": 20,
    "dataset.pairs": 10,
    "batch_size": 1,
    "max_iterations": 1,
    "log_every": 1,
    "learning_rate.base": 0,
    "learning_rate.warm_up": 0,
    "momentum": 0,
    "weight_decay": 0,
    "clip": 1e-6,
    "center_loss.weight": 0,
    "center_loss.alpha": 0,
}

MOST = {
    "seed": 2**32 - 1,
    "dataset.window": 1,
    "learning_rate.warm_up": 1,
    "momentum": 0.999999,
    "center_loss.alpha": 1,
}


@struct.dataclass
class State:
    """Everything that training needs to go on.

    Attributes:
      params: `face`: those of `FaceNet`; `classifier`: `[512, P]`, and its bias.
      optimizer: optax's state.
      centers: `[P, 512]` the centers of the identities' features.
      step: `[]` int32, steps done.
    """

    params: Any
    optimizer: Any
    centers: jax.Array
    step: jax.Array


class Batch(NamedTuple):
    """Photos `[B, h, w, 3]` uint8 and identities `[B]` int32."""

    photos: jax.Array
    people: jax.Array


def center_loss(features: jax.Array, centers: jax.Array) -> jax.Array:
    """Half the squared distance of features to their centers `[B, d]`, mean of B."""
    return 0.5 * jnp.mean(jnp.sum(jnp.square(features - centers), axis=-1))


def move_centers(
    centers: jax.Array, features: jax.Array, people: jax.Array, alpha: float
) -> jax.Array:
    """Centers `[P, d]` after a minibatch (Wen et al., eq. 4).

    Each moves by alpha times the sum of its differences to the features `[B, d]` of its
    person, divided by one more than their number.
    """
    count = jnp.zeros(len(centers)).at[people].add(1.0)
    apart = jnp.zeros_like(centers).at[people].add(centers[people] - features)
    return centers - alpha * apart / (1 + count)[:, None]


def train(
    config: ConfigDict,
    workdir: str | os.PathLike[str],
    command: Sequence[str] = (),
    quiet: bool = False,
) -> Record:
    """Trains the parent in a folder, or goes on with what the folder holds.

    The folder gets `weights.safetensors`, the network without its classifier.

    Args:
      config: as `configs/pretrain_faces.py` makes it. Warm-up and drops of the rate
        are shares of `max_iterations`, so a run can be continued only with those that
        it began with.
      workdir: the run's folder; made if it is missing.
      command: how the run was called, for config.json.
      quiet: no progress.

    Returns:
      What result.json holds: verification of people who were not trained on, beside
      that by plain pixels.

    Raises:
      InputError: config, photos or folder cannot be used.
    """
    check(config)
    of = config.dataset
    if of.dir is None:
        raise InputError(
            "config.dataset.dir: name the folder of photos, NAME/PHOTO.jpg"
        )
    identities = read(path_of(of.dir), of.height, of.width, of.window)
    sides = deal(identities, config.seed, of.held_out, of.validation, of.min_photos)
    module = FaceNet(form=conv_form(config.convolution))
    with RunFolder(workdir) as folder:
        if not (folder.path / filenames.CONFIG).exists():
            # A photo that cannot be read should not show after hours of training.
            for _ in fetch(identities.photos, np.arange(len(identities.people)), 64):
                pass
        description = _describe(config, identities, sides, command)
        folder.claim(description, may_differ=("config.dataset.dir",))
        with closing(Checkpoints(folder.checkpoints)) as checkpoints:
            records = folder.read_metrics(checkpoints.latest)
            folder.cut_metrics(records)
            finished = folder.read_result("steps")
            if finished:
                say(f"{folder.path}: finished after {finished['steps']} steps", quiet)
                return finished
            state = initial_state(config, module, len(sides.train))
            if records:
                state = checkpoints.restore(checkpoints.latest, state)
                say(f"{folder.path}: goes on after step {int(state.step)}", quiet)
            say(_opening(config, identities, sides), quiet)
            step, look = make_step(config, module), make_features(module)
            rows = identities.rows_of(sides.train)
            labels = np.searchsorted(sides.train, identities.people[rows])
            while int(state.step) < config.max_iterations:
                start = time.perf_counter()
                state, losses = _some_steps(
                    config, step, state, identities, rows, labels
                )
                if not all(math.isfinite(loss) for loss in losses.values()):
                    raise InputError(
                        f"{folder.path}: the losses are not finite after step "
                        f"{int(state.step)}; begin another run with a lower "
                        "config.learning_rate.base"
                    )
                chosen = _verify(config, look, state, identities, sides.validation)
                record: Record = {"round": len(records) + 1, "step": int(state.step)}
                record |= losses | {"validation": chosen._asdict()}
                record["seconds"] = round(time.perf_counter() - start, 3)
                folder.append_metrics(record)
                records.append(record)
                checkpoints.save(record["round"], state)
                say(_line(record), quiet)
        save(folder.path / filenames.WEIGHTS, state.params["face"])
        result = _result(config, look, state, identities, sides, records)
        folder.write_result(result)
        return result


def check(config: ConfigDict) -> None:
    """Checks a config's values.

    Raises:
      InputError: one is out of range; the message names the field.
    """
    check_known("config.convolution", config.convolution, CONVOLUTIONS)
    values = dict(flatten(config.to_dict()))
    check_finite(values)
    check_ranges(values, LEAST, MOST)
    if not all(0 <= share <= 1 for share in config.learning_rate.drops):
        raise InputError(
            f"config.learning_rate.drops: {config.learning_rate.drops} are shares of "
            "the training, between 0 and 1"
        )


def optimizer(config: ConfigDict) -> optax.GradientTransformation:
    """SGD with momentum, weight decay, a warm-up and two drops of the rate."""
    steps, rate = config.max_iterations, config.learning_rate
    drops: dict[int, float] = {}
    for share in rate.drops:
        drop = round(share * steps)
        drops[drop] = 0.1 * drops.get(drop, 1.0)
    schedule = optax.piecewise_constant_schedule(rate.base, drops)
    warm = max(1, int(rate.warm_up * steps))

    def scheduled(step: jax.Array) -> jax.Array:
        return schedule(step) * jnp.minimum(1, (step + 1) / warm)

    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.add_decayed_weights(config.weight_decay),
        optax.sgd(scheduled, config.momentum),
    )


def initial_state(config: ConfigDict, module: FaceNet, people: int) -> State:
    """A fresh network, its classifier of `people` identities, and centers at 0."""
    face, classifier = jax.random.split(key_of(config.seed))
    blank = jnp.zeros((1, config.dataset.height, config.dataset.width, 3))
    params = {
        "face": jax.jit(module.init)(face, blank)["params"],
        "classifier": {
            "kernel": uniform_fan_in(classifier, (module.features, people)),
            "bias": jnp.zeros(people),
        },
    }
    return State(
        params,
        optimizer(config).init(params),
        jnp.zeros((people, module.features)),
        jnp.array(0, jnp.int32),
    )


def make_step(config: ConfigDict, module: FaceNet) -> Any:
    """The jitted `(state, batch) -> state, losses`."""
    rule = optimizer(config)
    of = config.center_loss

    @jax.jit
    def step(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        key = jax.random.fold_in(_streams(config).augment, state.step)
        mirror_key, shift_key = jax.random.split(key)
        pixels, count = config.dataset.shift, len(batch.photos)
        starts = jax.random.randint(shift_key, (count, 2), 0, 2 * pixels + 1)
        flip = jax.random.bernoulli(mirror_key, 0.5, (count,))
        photos = normalized(mirror(flip, shift(starts, batch.photos, pixels)))

        def loss(params: Any) -> tuple[jax.Array, Any]:
            features = apply(module, params["face"], photos)
            classifier = params["classifier"]
            logits = features @ classifier["kernel"] + classifier["bias"]
            softmax = softmax_cross_entropy(logits, batch.people)
            center = center_loss(features, state.centers[batch.people])
            right = jnp.mean(jnp.argmax(logits, axis=-1) == batch.people)
            losses = {"softmax": softmax, "center": center, "accuracy": right}
            return softmax + of.weight * center, (features, losses)

        gradient, (features, losses) = jax.grad(loss, has_aux=True)(state.params)
        update, memory = rule.update(gradient, state.optimizer, state.params)
        centers = move_centers(state.centers, features, batch.people, of.alpha)
        params = optax.apply_updates(state.params, update)
        return State(params, memory, centers, state.step + 1), losses

    return step


def apply(module: FaceNet, params: Any, photos: jax.Array) -> jax.Array:
    """Features `[B, 512]` of normalised photos `[B, h, w, 3]`."""
    features: Any = module.apply({"params": params}, photos)
    return features


class _Streams(NamedTuple):
    """A random key for each purpose."""

    rows: jax.Array
    augment: jax.Array


def _streams(config: ConfigDict) -> _Streams:
    return _Streams(*jax.random.split(key_of(config.seed + 1)))


def _some_steps(
    config: ConfigDict,
    step: Any,
    state: State,
    identities: Identities,
    rows: np.ndarray,
    labels: np.ndarray,
) -> tuple[State, Record]:
    """Steps up to the next line of the log, and the means of their losses."""
    interrupts.check()
    begin = int(state.step)
    end = min(begin + config.log_every, config.max_iterations)
    key, shape = _streams(config).rows, (config.batch_size,)
    drawn = jax.vmap(
        lambda now: jax.random.randint(
            jax.random.fold_in(key, now), shape, 0, len(rows)
        )
    )(jnp.arange(begin, end))
    places, losses = np.asarray(drawn), []
    for photos, place in zip(
        fetch(identities.photos, rows[places], 1), places, strict=True
    ):
        batch = Batch(jnp.asarray(photos[0]), jnp.asarray(labels[place], jnp.int32))
        state, found = step(state, batch)
        losses.append(found)
    means = jax.tree.map(lambda *a: float(jnp.stack(a).mean()), *losses)
    return state, {f"training_{name}": value for name, value in means.items()}


Look = Callable[[Any, jax.Array], jax.Array]
"""`(params, photos uint8 [B, h, w, 3])` to features `[B, 512]`."""


def make_features(module: FaceNet) -> Look:
    """The jitted sum of the features of a photo and of its mirror image."""

    @jax.jit
    def look(params: Any, photos: jax.Array) -> jax.Array:
        seen = normalized(photos)
        return apply(module, params, seen) + apply(module, params, seen[:, :, ::-1])

    return look


def features_of(
    look: Look, params: Any, photos: Photos, rows: np.ndarray, batch: int = 64
) -> np.ndarray:
    """Features `[n, 512]` of some photos."""
    padded = np.resize(rows, -(-len(rows) // batch) * batch).reshape(-1, batch)
    parts = [look(params, jnp.asarray(p[0])) for p in fetch(photos, padded, 1)]
    return np.concatenate(parts)[: len(rows)]


def _pairs(
    config: ConfigDict, identities: Identities, people: np.ndarray
) -> tuple[np.ndarray, Pairs]:
    """Photos `[m]` that occur in pairs of these people, and the pairs among them."""
    rows = identities.rows_of(people)
    pairs = draw_pairs(identities.people[rows], config.dataset.pairs, config.seed)
    used = np.unique(np.concatenate([pairs.first, pairs.second]))
    first, second = (np.searchsorted(used, side) for side in pairs[:2])
    return rows[used], pairs._replace(first=first, second=second)


def _verify(
    config: ConfigDict,
    look: Look,
    state: State,
    identities: Identities,
    people: np.ndarray,
) -> Verification:
    rows, pairs = _pairs(config, identities, people)
    features = features_of(look, state.params["face"], identities.photos, rows)
    return verify(features, pairs)


def _result(
    config: ConfigDict,
    look: Look,
    state: State,
    identities: Identities,
    sides: Sides,
    records: list[Record],
) -> Record:
    found = _verify(config, look, state, identities, sides.held_out)
    rows, pairs = _pairs(config, identities, sides.held_out)
    pixels = identities.photos[rows].reshape(len(rows), -1).astype(np.float32)
    pixels -= pixels.mean(axis=0)
    plain = verify(pixels, pairs)
    return {
        "verification_accuracy": found.accuracy,
        "verification_standard_error": found.standard_error,
        "verification_auc": found.auc,
        "verification_people": len(sides.held_out),
        "verification_pairs": len(pairs.same),
        "pixels": plain._asdict(),
        "validation": records[-1]["validation"],
        "training_accuracy": records[-1]["training_accuracy"],
        "steps": int(state.step),
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "seed": config.seed,
    }


def _describe(
    config: ConfigDict, identities: Identities, sides: Sides, command: Sequence[str]
) -> Record:
    photos = np.bincount(identities.people)
    return {
        "command": list(command),
        "seed": config.seed,
        "config": config.to_dict(),
        "data": {"fingerprint": identities.photos.fingerprint()},
        "manifest": {
            "source": identities.source,
            "photos": len(identities.people),
            "people": len(identities.names),
            "people_with_one_photo": int((photos == 1).sum()),
            "people_trained_on": len(sides.train),
            "photos_trained_on": len(identities.rows_of(sides.train)),
        },
        "versions": versions(),
        "device": jax.devices()[0].device_kind,
    }


def _opening(config: ConfigDict, identities: Identities, sides: Sides) -> str:
    return (
        f"{len(identities.people)} photos of {len(identities.names)} people; training "
        f"on {len(identities.rows_of(sides.train))} of {len(sides.train)}, choosing by "
        f"{len(sides.validation)}, verified on {len(sides.held_out)} others; "
        f"{config.max_iterations} steps; compiling"
    )


def _line(record: Record) -> str:
    validation = record["validation"]
    return (
        f"step {record['step']}: softmax {record['training_softmax']:.3f}, training "
        f"accuracy {100 * record['training_accuracy']:.1f} %, verification of the "
        f"validation people {100 * validation['accuracy']:.1f} %, "
        f"{record['seconds']:.0f} s"
    )
