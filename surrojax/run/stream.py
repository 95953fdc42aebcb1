"""Data larger than the device: images stay on the host and are streamed to it.

The programs of a round do here what `programs.compile_programs` does with resident
data, in chunks of steps: the same rows, keys and augmentations, so the same results.
grain reads the minibatches ahead in threads of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np

from surrojax import stage1, stage2
from surrojax.data.dataset import Images
from surrojax.evaluate import Evaluation, Predictions, measure, predict
from surrojax.layout import several
from surrojax.method import Data, Method
from surrojax.programs import Programs
from surrojax.sgd import Drawn, Net, Targets
from surrojax.stage1 import Fusion

CHUNK_BYTES = 2**27
"""Images of about this size are sent to the device at a time."""

THREADS = 16


@dataclass(frozen=True)
class Streamed:
    """One split whose images stay on the host; otherwise as `sgd.Arrays`."""

    images: Images
    targets: Targets


def fetch(images: Images, rows: np.ndarray, together: int) -> Iterator[np.ndarray]:
    """Images by row, read ahead.

    Args:
      images: `[n, H, W, C]` uint8, of random access.
      rows: `[M, ...]` int; each of the M is read as a whole.
      together: how many of them to yield at a time; the last time may be fewer.

    Yields:
      `[together, ..., H, W, C]` uint8.
    """

    def read(wanted: np.ndarray) -> np.ndarray:
        found = np.asarray(images[wanted.reshape(-1)])
        return found.reshape(*wanted.shape, *found.shape[1:])

    # grain uses no more threads than there is room for what they read.
    room = max(2 * together, THREADS)
    ahead = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=room)
    yield from (
        grain.MapDataset.source(rows).map(read).to_iter_dataset(ahead).batch(together)
    )


def compile_programs(method: Method) -> Programs:
    """The parts of a round, for data that are `Streamed`."""
    compiled = method.layout.compile
    return Programs(
        fit=_fit_of(method),
        evaluate=_evaluate_of(method),
        compete=_compete_of(method),
        tell=compiled(partial(method.search.tell)),
        ask=compiled(method.search.ask),
    )


def _fit_of(method: Method) -> Callable[..., Any]:
    """`Programs.fit`: stage 1."""
    compiled = method.layout.compile

    @partial(compiled, donate_argnums=0)
    def fit_chunk(
        fusions: Any, vectors: Any, drawn: Drawn, key: Any, steps: Any
    ) -> Any:
        return stage1.fit_settings(method, fusions, vectors, drawn, key, steps)

    @partial(compiled, static_argnums=1)
    def rows_of(key: Any, samples: int, steps: Any) -> Any:
        of = partial(stage1.Chance.of, method, key, samples)
        return jax.vmap(of)(steps).choice.rows

    def fit(
        fusion: Any, settings: Any, equal: Any, train: Streamed, key: Any, step: Any
    ) -> Any:
        settings = settings[:1] if equal else settings
        steps = step + jnp.arange(method.iterations_per_round)
        rows = rows_of(key, len(train.targets.labels), steps)
        fusions, losses = several(fusion, len(settings)), []
        for drawn, steps in _chunks(train, rows, step):
            fusions, found = fit_chunk(fusions, settings, drawn, key, steps)
            losses.append(found)
        return fusions, jax.tree.map(lambda *a: sum(a), *losses)

    return fit


def _evaluate_of(method: Method) -> Callable[..., Any]:
    """`Programs.evaluate`: of originals and surrogates."""

    @method.layout.compile
    def look(fusions: Fusion, images: jax.Array) -> tuple[Predictions, ...]:
        nets = (fusions.original, fusions.surrogate)
        modules = (method.pair.original, method.pair.surrogate)
        return tuple(
            _look(method, module, stage2.Copies({}, net), images)
            for module, net in zip(modules, nets, strict=True)
            if net is not None
        )

    figures = _figures_of(method)

    def evaluate(
        fusions: Fusion, data: Streamed
    ) -> tuple[Evaluation, Evaluation | None]:
        found = predict_streamed(look, fusions, data.images, method.evaluation_batch)
        original, *surrogate = (figures(p, data.targets) for p in found)
        return original, surrogate[0] if surrogate else None

    return evaluate


def _compete_of(method: Method) -> Callable[..., Any]:
    """`Programs.compete`: stage 2."""
    compiled = method.layout.compile

    @partial(compiled, donate_argnums=0)
    def train_chunk(
        nets: Net, held: Any, vectors: Any, drawn: Drawn, key: Any, steps: Any
    ) -> Net:
        return stage2.train_population(method, held, nets, vectors, drawn, key, steps)

    @partial(compiled, static_argnums=(1, 2))
    def rows_of(key: Any, samples: int, candidates: int, steps: Any) -> Any:
        keys = stage2.Keys.of(method, key, candidates)

        def one(key: jax.Array, step: jax.Array) -> jax.Array:
            return stage2.Chance.of(method, key, samples, step).choice.rows

        if keys.axis is not None:
            one = jax.vmap(one, in_axes=(keys.axis, None))
        return jax.vmap(one, in_axes=(None, 0))(keys.value, steps)

    look = compiled(partial(_look, method, stage2.module_of(method)))
    figures = _figures_of(method)

    def compete(
        surrogate: Net, vectors: Any, data: Data, key: Any, step: Any
    ) -> tuple[jax.Array, Evaluation]:
        train: Any = data.train
        validation: Any = data.validation
        steps = step + jnp.arange(method.stage2_iterations)
        rows = rows_of(key, len(train.targets.labels), len(vectors), steps)
        held, nets = stage2.copies(method, surrogate, len(vectors))
        for drawn, steps in _chunks(train, rows, step):
            if not method.common_random_numbers:  # candidates first, for their vmap
                drawn = jax.tree.map(lambda a: a.swapaxes(0, 1), drawn)
            nets = train_chunk(nets, held, vectors, drawn, key, steps)
        copies, batch = stage2.Copies(held, nets), method.evaluation_batch
        predictions = predict_streamed(look, copies, validation.images, batch)
        evaluations = figures(predictions, validation.targets)
        return stage2.score(method, evaluations), evaluations

    return compete


def _look(
    method: Method, module: Any, copies: stage2.Copies, images: jax.Array
) -> Predictions:
    """What several networks make of some images.

    Args:
      method: of the run.
      module: of all networks.
      copies: with a leading axis `[N]`.
      images: `[B, H, W, C]` uint8.

    Returns:
      `Predictions` `[B, N]`.
    """

    def one(held: Any, net: Net, images: jax.Array) -> Predictions:
        variables = stage2.whole(held, net.variables)
        return predict(module, method.views, variables, images, method.evaluation_batch)

    found = method.layout.spread(one, (None, 0, None), *copies, images)
    return jax.tree.map(lambda a: a.swapaxes(0, 1), found)


def _figures_of(method: Method) -> Callable[..., Evaluation]:
    """A program: from what `_look` makes of a split, and its targets, to `[N]`."""
    figures = partial(measure, class_weights=method.class_weights)
    return method.layout.compile(jax.vmap(figures, in_axes=(1, None)))


def _chunks(train: Streamed, rows: Any, step: Any) -> Iterator[tuple[Drawn, Any]]:
    """Minibatches `[S, ..., B]` and their steps `[S]`.

    Args:
      train: the split.
      rows: `[steps, ..., B]` which of its images each step sees.
      step: the number of the first.
    """
    rows, labels = np.asarray(rows), np.asarray(train.targets.labels)
    image_bytes = int(np.prod(train.images.shape[1:]))
    size, begin = chunk_length(len(rows), rows[0].size * image_bytes), 0
    for images in fetch(train.images, rows, size):
        here = slice(begin, begin + len(images))
        drawn = Drawn(jnp.asarray(images), jnp.asarray(labels[rows[here]]))
        yield drawn, step + jnp.arange(here.start, here.stop)
        begin = here.stop


def chunk_length(steps: int, step_bytes: int) -> int:
    """How many steps go to the device at a time: a divisor, so that all are as long."""
    most = max(1, CHUNK_BYTES // step_bytes)
    return max(n for n in range(1, min(steps, most) + 1) if steps % n == 0)


def predict_streamed(
    program: Callable[[Any, jax.Array], Any], nets: Any, images: Images, batch: int
) -> Any:
    """What `evaluate.predict` yields, for images that stay on the host.

    Args:
      program: `(nets, images [batch, H, W, C])` to predictions, whose first axis has
        the images.
      nets: its first argument.
      images: `[n, H, W, C]` uint8, of random access.
      batch: images that are worked on at a time.
    """
    n = images.shape[0]
    batch = min(batch, n)
    rows = (np.arange(-(-n // batch) * batch) % n).reshape(-1, batch)
    parts = [program(nets, jnp.asarray(found[0])) for found in fetch(images, rows, 1)]
    return jax.tree.map(lambda *a: jnp.concatenate(a)[:n], *parts)
