"""The result of a run from its folder."""

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surrojax import filenames
from surrojax.errors import InputError
from surrojax.evaluate import classifier
from surrojax.fields import are_words
from surrojax.networks.stand_in import UserNetwork
from surrojax.own.method import Preprocess, standard
from surrojax.own.reading import needs_module, reader, weights_alone
from surrojax.paths import path_of
from surrojax.run.checkpoint import Checkpoints
from surrojax.run.diary import best_of
from surrojax.run.files import read_json
from surrojax.run.records import config_in, metrics_of, result_of
from surrojax.run.restoring import config_of, restore
from surrojax.run.result import Result, Trained
from surrojax.run.stopping import best_round
from surrojax.settings import sources, views_of_test


def load(
    workdir: str | os.PathLike[str],
    network: UserNetwork | None = None,
    preprocess: Preprocess = standard,
) -> Result:
    """The result of a run, finished or not.

    Args:
      workdir: the run's folder.
      network: of a run of `surrojax.tune`, the module that it was given; without it,
        there are records, figures and weights, but no predictions.
      preprocess: of such a run, where it was given one.

    Raises:
      InputError: the folder holds no run, it is damaged, or its network is another.
    """
    path = path_of(workdir).absolute()
    if not (path / filenames.CONFIG).exists():
        raise InputError(f"{path}: is no folder of a run; name one with a config.json")
    saved = read_json(path / filenames.CONFIG)
    if config_in(saved) is None:
        raise InputError(
            f"{path}: holds no run of launch.py or surrojax.tune; name a folder of one"
        )
    if "task" in saved["config"]:
        raise InputError(
            f"{path}: holds a pre-training, which recognises no expression; give it "
            "to a run as --config.init_from"
        )
    records = metrics_of(path / filenames.METRICS)
    outcome = result_of(path / filenames.RESULT)
    if outcome is not None and outcome["rounds"] != len(records):
        outcome = None  # of a run that is being extended
    if outcome is None and (path / filenames.CHECKPOINTS).exists():
        # A round's line is written before its checkpoint, which has the network.
        with closing(
            Checkpoints(path / filenames.CHECKPOINTS, reading=True)
        ) as checkpoints:
            records = records[: checkpoints.latest]
    finished = outcome is not None
    last: Callable[[], Trained]
    best: Callable[[], Trained]
    if "dataset" in saved["config"]:
        if network is not None:
            raise InputError(
                f"{path}: the network of this run is the package's own; leave out "
                "network"
            )
        last, best = partial(_trained, path), partial(_trained, path, best=True)
    elif network is None:
        last, best = partial(weights_alone, path, finished), partial(needs_module, path)
    else:
        at_best = best_round(records)
        last, best = reader(path, saved, at_best, finished, network, preprocess)
    # Earlier versions named the classes in the result alone.
    classes = saved.get("classes") or list((outcome or {}).get("recall") or ())
    if not (isinstance(classes, list) and are_words(classes)):
        raise InputError(
            f"{path / filenames.CONFIG}: classes: {classes!r} are not those of a run; "
            "restore the file"
        )
    return Result(records, last, classes, outcome, path, best)


def _trained(path: Path, best: bool = False) -> Trained:
    method, state = restore(path)
    config = config_of(path)
    views = views_of_test(config, method.pair, method.views.allowed)
    variables = state.fusion.original.variables
    if best:
        variables = best_of(path, int(state.best_round), variables)
    classify = classifier(
        method.pair.original, views, variables, method.evaluation_batch
    )
    trained_on, tested_on = sources(config)
    return Trained(
        jax.tree.map(np.asarray, variables),
        lambda images: classify(_pixels(images, method.pair.channels)),
        (tested_on or trained_on).preparation,
    )


def _pixels(images: Any, channels: int) -> np.ndarray:
    """`[n, H, W, C]` uint8, of `[n, H, W]` or `[n, H, W, C]`; C: 1 or `channels`."""
    found = np.asarray(images)
    if found.ndim == 3:
        found = found[..., None]
    if found.shape[:1] == (0,):
        raise InputError("predict: no images; give at least one")
    if (
        found.ndim != 4
        or found.dtype != np.uint8
        or found.shape[-1] not in (1, channels)
    ):
        wanted = "1" if channels == 1 else f"1 or {channels}"
        raise InputError(
            f"predict: images of shape {found.shape} and type {found.dtype}; wanted "
            f"are [n, height, width, {wanted}] of uint8, whole images as the run was "
            "given"
        )
    return found
