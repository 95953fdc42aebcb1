"""What every command of the package does with its flags, its errors and its help."""

import importlib.util
import io
import os
import re
import shlex
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import ConfigDict
from tqdm import tqdm

from surrojax import interrupts
from surrojax.cli import usage
from surrojax.cli.calls import override
from surrojax.errors import InputError, StrandedError
from surrojax.fields import flatten, nearest, suggest

CONFIGS = Path("configs")
"""Where the configs are that come along, seen from the project's folder."""

HELP = ("-h", "-?", "-help", "--help", "-helpshort", "--helpshort")

HELP_FULL = ("-helpfull", "--helpfull")

MISSING = f"--config is missing; for example --config={CONFIGS}/demo.py"

KINDS = {bool: "True or False", int: "a whole number", float: "a number"}
"""What a field wants, by the type of its default."""


@dataclass(frozen=True)
class About:
    """What a command says of itself.

    Attributes:
      text: of its modes, with examples.
      flags: its flags, by name, in the order in which they are told.
      fields: of the config, those that a user should know.
    """

    text: str
    flags: Sequence[str]
    fields: Sequence[str]

    def short(self, module: ModuleType | None, source: str) -> str:
        """What --help prints.

        Args:
          module: of the config whose defaults are told; None: there is none here.
          source: its file.
        """
        known = {name: flags.FLAGS[name] for name in self.flags}
        parts = [self.text.strip(), f"Flags\n{usage.list_flags(known)}"]
        if module is not None:
            told = usage.comments(module)
            some = usage.some_fields(load(source), told, self.fields)
            parts.append(
                f"Fields of the config, with their defaults in {source}\n{some}\n"
                "  --fields lists all of them"
            )
        configs = usage.list_configs(CONFIGS)
        if configs:
            parts.append(f"Configs\n{configs}")
        return "\n\n".join(parts)


def load(file: str) -> ConfigDict:
    """What `get_config` of a config's file yields.

    Raises:
      InputError: there is no such file, it is no config's, or it sets a field that no
        config has, or to a value of another type.
    """
    try:
        with _slips(file):
            config = _module(file).get_config()
    except (AttributeError, KeyError, TypeError) as error:
        if not _is_of_a_config(error):  # the fault is in the file's own code
            raise
        raise InputError(f"{file}: {_of_a_config(error)}") from error
    _check_config(file, config)
    return config


def _check_config(file: str, config: Any) -> None:
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"{file}: get_config returns {type(config).__name__}, where a ConfigDict "
            "is wanted; begin with common.get_config() and return it, as configs/ do"
        )


def _is_of_a_config(error: BaseException) -> bool:
    """Whether a ConfigDict has raised it."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    home = "" if where is None else where.tb_frame.f_globals.get("__name__", "")
    return home.startswith("ml_collections.")


def _of_a_config(error: BaseException) -> str:
    """What a ConfigDict has against a field, in one line, without all other fields."""
    said: Any = error
    while isinstance(said, BaseException):  # a KeyError inside of an AttributeError
        said = said.args[0]
    text = " ".join(said.replace("\\", "").split())
    unknown = re.search("Key \"(.+?)\" does not exist|^'(\\w+)'", text)
    if unknown is None:
        return text
    near = re.search('Did you mean "(.+?)"', text)
    meant = f" (did you mean {near[1]!r}?)" if near else ""
    return f"the config has no field {unknown[1] or unknown[2]!r}{meant}"


def _module(file: str) -> Any:
    path = Path(file)
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(_missing(file))
    module = importlib.util.module_from_spec(spec)
    with _slips(file):
        spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise InputError(f"{file}: has no get_config; see configs/")
    return module


@contextmanager
def _slips(file: str) -> Iterator[None]:
    """Names the slip of the pen where a config's file cannot be run."""
    try:
        yield
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise InputError(
            f"{error.filename or file}{line}: {error.msg}; mend it, or choose another "
            "config"
        ) from error
    except ImportError as error:
        raise InputError(
            f"{file}: {error}; install what it imports, or mend the import"
        ) from error


def _missing(file: str) -> str:
    """That a config cannot be read, and which one may have been meant."""
    files = {
        path.stem: str(path)
        for folder in (CONFIGS, Path(file).parent)
        for path in folder.glob("*.py")
    }
    near = nearest(Path(file).stem, files)
    meant = f" (did you mean {files[near]}?)" if near else ""
    sought_here = not Path(file).is_absolute() and not Path(file).exists()
    if sought_here and not meant and not CONFIGS.is_dir():
        return (
            f"{file}: is not in {Path.cwd()}, from where paths are seen; go to the "
            "folder of launch.py, or give the whole path"
        )
    return f"{file}: cannot be read{meant}; see configs/"


def run(name: str, config: Any, main: Callable[[], None], about: About) -> None:
    """Runs a command: a mistake of the user's is one line and exit code 2.

    Args:
      name: of the command, with which the line begins.
      config: the flag `--config`.
      main: what to do once the flags are read.
      about: what --help says; without arguments, the command says it, too.
    """

    begun = False

    def begin(argv: Sequence[str]) -> None:
        nonlocal begun
        absl_logging.set_verbosity(absl_logging.WARNING)  # Orbax tells its every step
        # Its default, between processes, is left behind where this one ends at once.
        tqdm.set_lock(threading.RLock())
        if len(argv) > 1:
            raise InputError(_no_flag(argv[1]))
        if flags.FLAGS["fields"].value:
            file = _config_file(sys.argv)
            module = _module(file) if file else _common()
            if module is None:
                raise InputError(MISSING)
            values = config.value if file else module.get_config()
            print(usage.list_fields(values, usage.comments(module)), flush=True)
            return
        begun = True
        main()

    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # What the terminal's encoding lacks, such as the sign of a standard error, is
        # shown as a question mark, and ends no run.
        sys.stdout.reconfigure(errors="replace")
    try:
        with interrupts.heard():
            app.run(begin, flags_parser=partial(parse, config, about))
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        if isinstance(error, StrandedError):
            os._exit(2)
        sys.exit(2)
    except BrokenPipeError:  # as of `launch.py --fields | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if begun:
            told = "stopped, as nobody reads its output; the same command goes on from"
            print(f"{name}: {told} here", file=sys.stderr, flush=True)
        sys.exit(1)
    except BaseException as error:
        if not interrupts.is_behind(error):
            raise
        print(
            "stopped; the same command goes on from here", file=sys.stderr, flush=True
        )
        # XLA's threads may still be at work, and tearing down under them can crash.
        os._exit(130)


flags.DEFINE_bool(
    "fields", False, "Lists every field of the config with its value, and stops."
)


def parse(config: Any, about: About, argv: list[str]) -> list[str]:
    """Parses the flags; where help is asked for, prints it and ends the process.

    Without any argument, it is printed to stderr, before what is missing.

    Args:
      config: the flag `--config`.
      about: what --help says.
      argv: the command line.

    Raises:
      InputError: something is wrong with them.
    """
    file = _config_file(argv)
    asked = [word for word in argv[1:] if word in HELP + HELP_FULL]
    if asked:
        print(_help(about, file, full=not set(asked) <= set(HELP)), flush=True)
        sys.exit(0)
    if len(argv) == 1:
        print(_help(about, file, full=False), file=sys.stderr, flush=True)
        raise InputError(MISSING)
    try:
        with _slips(file):
            rest = flags.FLAGS(argv)
        if Path(file).is_file():
            _check_config(file, config.value)
        elif config.value is not None:
            config.value.keys()  # a file that is missing shows only now
        return rest
    except flags.UnrecognizedFlagError as error:
        raise InputError(_unknown_flag(error.flagname, file)) from error
    except flags.Error as error:
        raise InputError(_wrong_value(str(error), file)) from error
    except OSError as error:
        raise InputError(f"--config={_missing(file)}") from error
    except InputError:
        raise
    except (AttributeError, IndexError, KeyError, ValueError) as error:
        message = _entry(file, argv) or _unknown_field(file, argv)
        if message is None:  # the fault is in the config file's own code
            raise
        raise InputError(message) from error


def _help(about: About, file: str, full: bool) -> str:
    """What --help says, or --helpfull."""
    module = _module(file) if file else _common()
    source = file or f"{CONFIGS}/common.py"
    text = about.short(module, source)
    if full and module is not None:
        listed = usage.list_fields(load(source), usage.comments(module))
        text += f"\n\nAll fields\n{listed}"
    return text


def _common() -> Any:
    """The config that all others begin with, for those who stand in its folder."""
    file = CONFIGS / "common.py"
    return _module(str(file)) if file.is_file() else None


def _config_file(argv: Sequence[str]) -> str:
    """Of `--config=FILE` or `--config FILE`, without what follows a colon."""
    for here, following in zip(argv, [*argv[1:], ""], strict=True):
        flag, equals, value = here.partition("=")
        if flag in ("-config", "--config"):
            return (value if equals else following).split(":")[0]
    return ""


def _fields_of(file: str) -> dict[str, Any]:
    """The fields of a config's file, with their defaults; none where there is none."""
    return dict(flatten(load(file).to_dict())) if Path(file).is_file() else {}


def _no_flag(word: str) -> str:
    """That a word is no flag, and which may have been meant."""
    field, equals, _ = word.partition("=")
    meant = ""
    if word.endswith(".py"):
        meant = f" (did you mean --config={word}?)"
    elif equals and field in _fields_of(_config_file(sys.argv)):
        meant = f" (did you mean --config.{word}?)"
    return f"{word!r} is no flag{meant}; flags begin with --, see --help"


def _unknown_flag(name: str, file: str) -> str:
    known = {flag: f"--{flag}" for flag in flags.FLAGS}
    for field in _fields_of(file):
        known |= {field: f"--config.{field}", f"config.{field}": f"--config.{field}"}
    near = nearest(name, known)
    meant = f" (did you mean {known[near]}?)" if near else ""
    return f"--{name}: there is no such flag{meant}; see --help"


def _wrong_value(message: str, file: str) -> str:
    """What is wrong with a flag's value, in one line; of fields, what they want."""
    known = _fields_of(file)  # a fault of the file itself is told instead
    plain = " ".join(message.split()).removeprefix("flag ")
    match = re.match(r"--config\.([\w.]+)=(.*?): ", plain)
    if match is None:
        return plain
    field, value = match.groups()
    kind = KINDS.get(type(known.get(field)))
    if kind is not None:
        return f"--config.{field}={value}: wants {kind}"
    return _group(field, known) or plain


def _entry(file: str, argv: Sequence[str]) -> str | None:
    """That an entry of a field cannot be given, as in `--config.FIELD[0]=VALUE`."""
    known = _fields_of(file)
    for argument in argv:
        match = re.match(r"--?config\.([\w.]+)\[", argument)
        if match is None:
            continue
        field = match[1]
        if isinstance(known.get(field), tuple):
            whole = shlex.quote(override(field, known[field]))
            return f"{argument}: give all entries of the field, as {whole}"
        if field in known:
            return f"{argument}: the field has no entries; give it without [ ]"
        return _group(field, known)
    return None


def _group(field: str, known: Collection[str]) -> str | None:
    """That a word is a group of fields, and of which, if it is one."""
    within = [other for other in known if other.startswith(f"{field}.")]
    if not within:
        return None
    return f"--config.{field}: is a group of fields: {', '.join(within)}"


def _unknown_field(file: str, argv: Sequence[str]) -> str | None:
    known = list(_fields_of(file))
    for argument in argv:
        match = re.match(r"--?config\.([\w.]+)", argument)
        if match and match[1] not in known:
            near = suggest(match[1], known)
            return f"{argument}: the config has no field {match[1]!r}{near}"
    return None
