"""What every command of the package does with its flags and its errors."""

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import ConfigDict

from surrojax.errors import InputError
from surrojax.settings import flatten, suggest


def load(file: str) -> ConfigDict:
    """What `get_config` of a config's file yields.

    Raises:
      InputError: there is no such file, or it is none of a config.
    """
    path = Path(file)
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"{file}: cannot be read; see configs/")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise InputError(f"{file}: has no get_config; see configs/")
    return module.get_config()


def run(name: str, config: Any, main: Callable[[], None]) -> None:
    """Runs a command: a mistake of the user's is one line and exit code 2.

    Args:
      name: of the command, with which the line begins.
      config: the flag `--config`.
      main: what to do once the flags are read.
    """

    def begin(argv: Sequence[str]) -> None:
        absl_logging.set_verbosity(absl_logging.WARNING)  # Orbax tells its every step
        if len(argv) > 1:
            raise InputError(f"{argv[1]!r} is no flag; flags begin with --, see --help")
        main()

    try:
        app.run(begin, flags_parser=partial(parse, config))
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except BaseException as error:
        if not _interrupted(error):
            raise
        print(
            "stopped; the same command goes on from here", file=sys.stderr, flush=True
        )
        # XLA's threads may still be at work, and tearing down under them can crash.
        os._exit(130)


def parse(config: Any, argv: list[str]) -> list[str]:
    """Parses the flags.

    Args:
      config: the flag `--config`.
      argv: the command line.

    Raises:
      InputError: something is wrong with them.
    """
    file = _config_file(argv)
    try:
        rest = flags.FLAGS(argv)
        if config.value is not None:
            config.value.keys()  # a file that is missing shows only now
        return rest
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from error
    except OSError as error:
        raise InputError(f"--config={file}: cannot be read; see configs/") from error
    except (AttributeError, KeyError) as error:
        message = _unknown_field(file, argv)
        if message is None:  # the fault is in the config file's own code
            raise
        raise InputError(message) from error


def _config_file(argv: Sequence[str]) -> str:
    """Of `--config=FILE` or `--config FILE`, without what follows a colon."""
    for here, following in zip(argv, [*argv[1:], ""], strict=True):
        flag, equals, value = here.partition("=")
        if flag in ("-config", "--config"):
            return (value if equals else following).split(":")[0]
    return ""


def _unknown_field(file: str, argv: Sequence[str]) -> str | None:
    known = [field for field, _ in flatten(load(file).to_dict())]
    for argument in argv:
        match = re.match(r"--config\.([\w.]+)", argument)
        if match and match[1] not in known:
            near = suggest(match[1], known)
            return f"{argument}: the config has no field {match[1]!r}{near}"
    return None


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error; JAX and NumPy wrap it on its way out."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
