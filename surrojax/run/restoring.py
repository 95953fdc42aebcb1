"""The network of a run of a config, taken up again from its folder."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from surrojax import filenames
from surrojax.algorithm import RunState, initial_state
from surrojax.errors import InputError
from surrojax.fields import Record, are_words
from surrojax.keys import key_of
from surrojax.method import Method
from surrojax.paths import path_of
from surrojax.run.checkpoint import Checkpoints
from surrojax.run.files import read_json
from surrojax.run.outcome import classify
from surrojax.run.records import config_in
from surrojax.run.setup import place_split
from surrojax.settings import load_data, make_method, resolve, views_of_test


def restore(workdir: str | os.PathLike[str]) -> tuple[Method, RunState]:
    """The method of a run, and its state after the latest round: the trained network.

    Args:
      workdir: the folder of a run that has done at least one round.

    Returns:
      `method.pair.original` is the Flax module, `state.fusion.original.variables` its
      variables; `surrojax.evaluate.predict` puts images through them.

    Raises:
      InputError: the folder holds no such run.
    """
    path = path_of(workdir).absolute()
    config, (classes, allowed) = config_of(path), classes_of(path)
    with closing(
        Checkpoints(path / filenames.CHECKPOINTS, reading=True)
    ) as checkpoints:
        if not checkpoints.latest:
            raise InputError(f"{path}: this run has no checkpoint yet; let it go on")
        method = make_method(config, len(classes), allowed)
        state = initial_state(method, key_of(config.seed))
        return method, checkpoints.restore(checkpoints.latest, state)


def config_of(path: Path) -> ConfigDict:
    """The resolved config of a run.

    Raises:
      InputError: the folder holds no such run.
    """
    file = path / filenames.CONFIG
    saved = read_json(file)
    if config_in(saved) is None:
        raise InputError(f"{file}: is no run's config.json; restore it")
    try:
        config = ConfigDict(_with_tuples(saved["config"]))
        if config.replay:  # its own copy is as good, and cannot have moved
            config.replay = str(path / filenames.SCHEDULE)
        config.execution.devices = 0  # this machine may have others
        return resolve(config)
    except InputError:
        raise
    except (KeyError, AttributeError) as error:
        raise InputError(
            f"{file}: has no field {error}; the run was made by another "
            "version of surrojax, which can read it"
        ) from error
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{file}: is no run's config.json ({error}); restore the file"
        ) from error


def classes_of(path: Path) -> tuple[tuple[str, ...], tuple[bool, ...] | None]:
    """The classes of a run, and of each whether it may be predicted; None: any may.

    Raises:
      InputError: the folder holds no such run.
    """
    saved = read_json(path / filenames.CONFIG)
    classes, allowed = (saved.get(name) for name in ("classes", "allowed"))
    if not (classes and are_words(classes)) or not (
        allowed is None or isinstance(allowed, list)
    ):
        raise InputError(
            f"{path / filenames.CONFIG}: classes or allowed are not those of a run; "
            "restore the file"
        )
    return tuple(classes), None if allowed is None else tuple(map(bool, allowed))


def retest(config: ConfigDict, workdir: str | os.PathLike[str]) -> Record:
    """Tests a finished run's network on the test split of another config.

    Args:
      config: whose data are tested on; its network and classes have to be the run's.
      workdir: the run's folder.

    Returns:
      The figures of the test split, as in result.json.

    Raises:
      InputError: the folder holds no finished run, or its classes are others.
    """
    method, state = restore(workdir)
    dataset = load_data(resolve(config))
    there, _ = classes_of(path_of(workdir).absolute())
    if tuple(dataset.classes) != there:
        raise InputError(
            f"{workdir}: its network knows {', '.join(there)}, the data have "
            f"{', '.join(dataset.classes)}; choose data of the same classes"
        )
    views = views_of_test(config, method.pair, dataset.allowed)
    placed = place_split(dataset.test, True, method.layout)
    return classify(method, state, views, dataset.test, placed).figures(dataset.classes)


def _with_tuples(tree: Any) -> Any:
    """JSON knows no tuples, and a config holds no lists."""
    if isinstance(tree, dict):
        return {name: _with_tuples(value) for name, value in tree.items()}
    return tuple(tree) if isinstance(tree, list) else tree
