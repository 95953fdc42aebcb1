"""What a command says of itself: its flags, its config's fields, the configs there are.

Defaults are the config's own, explanations the comments that its file has beside them,
so that neither is written twice.
"""

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from surrojax.fields import flatten

WIDTH = 88
"""Columns of a help text."""

COLUMN = 32
"""Where explanations begin."""


def comments(module: ModuleType) -> dict[str, str]:
    """What a config's file says of each field and group that `get_config` sets.

    A field that a module below it sets already has that module's words. Those without
    any have "". The order is that of the files.

    Args:
      module: with a `get_config`; modules that it uses have theirs.
    """
    found: dict[str, str] = {}
    for used in vars(module).values():
        if inspect.ismodule(used) and hasattr(used, "get_config"):
            found |= comments(used)
    own = _comments(Path(inspect.getfile(module)).read_text(encoding="utf-8"))
    for path, text in own.items():
        found[path] = found.get(path) or text
    return found


def _comments(source: str) -> dict[str, str]:
    beside, above = _by_line(source)
    found: dict[str, str] = {}
    for path, first, last in _assignments(source):
        lines: list[str] = []
        line = first - 1
        while line in above:
            lines.insert(0, above[line])
            line -= 1
        lines += [beside[n] for n in range(first, last + 1) if n in beside]
        text = " ".join(lines)
        found[path] = found.get(path) or text
    return found


def _by_line(source: str) -> tuple[dict[int, str], dict[int, str]]:
    """Comments beside code, and those with a line of their own, by number of line."""
    beside: dict[int, str] = {}
    above: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            text = token.string.lstrip("# ")
            (above if alone else beside)[token.start[0]] = text
    return beside, above


def _assignments(source: str) -> Iterator[tuple[str, int, int]]:
    """Field, first and last line of each assignment to a field in `get_config`."""
    for part in ast.parse(source).body:
        if not isinstance(part, ast.FunctionDef) or part.name != "get_config":
            continue
        for line in part.body:
            targets = line.targets if isinstance(line, ast.Assign) else []
            for target in targets:
                several = target.elts if isinstance(target, ast.Tuple) else [target]
                for one in several:
                    _, _, path = ast.unparse(one).partition(".")
                    if path:
                        yield path, line.lineno, line.end_lineno or line.lineno


def list_fields(config: ConfigDict, told: Mapping[str, str]) -> str:
    """Every field as a flag with its value, and what is said of it.

    Args:
      config: of the values.
      told: of `comments`.
    """
    order = {path: place for place, path in enumerate(told)}

    def place(field: str) -> list[int]:
        """Groups stand where they are first named, their fields in them."""
        return [order.get(path, len(order)) for path in _paths(field)]

    lines: list[str] = []
    groups: set[str] = set()
    values = dict(flatten(config.to_dict()))
    for field in sorted(values, key=place):
        for group in _paths(field)[:-1]:
            if told.get(group) and group not in groups:
                lines.append(_entry(f"--config.{group}.*", told[group]))
            groups.add(group)
        flag = f"--config.{field}={spelled(values[field])}"
        lines.append(_entry(flag, told.get(field, "")))
    return "\n".join(lines)


def some_fields(
    config: ConfigDict, told: Mapping[str, str], fields: Sequence[str]
) -> str:
    """Some fields, with the first sentence of what is said of each.

    Args:
      config, told: of `list_fields`.
      fields: those that this config has not are left out; of which nothing is said,
        what is said of their group.
    """
    values = dict(flatten(config.to_dict()))
    lines: list[str] = []
    for field in fields:
        if field in values:
            said = next(
                (told[path] for path in _paths(field)[::-1] if told.get(path)), ""
            )
            lines.append(
                _entry(f"--config.{field}={spelled(values[field])}", _first(said))
            )
    return "\n".join(lines)


def list_flags(flags: Mapping[str, Any]) -> str:
    """Flags of a command; a help text `WHAT: ...` says what the flag's value is.

    Args:
      flags: of absl, by name.
    """
    lines: list[str] = []
    for name, flag in flags.items():
        # absl adds to the words on flags that may be given several times.
        said = flag.help.split(";\n")[0]
        what, colon, text = said.partition(": ")
        if not colon or " " in what:
            what, text = "VALUE", said
        shown = f"--{name}" if flag.boolean else f"--{name}={what}"
        if flag.default not in (None, [], False):
            text = f"{text} Default: {_default(flag)}."
        lines.append(_entry(shown, text))
    return "\n".join(lines)


def list_commands(commands: Mapping[str, str]) -> str:
    """Commands by name, with what each does."""
    return "\n".join(_entry(name, text) for name, text in commands.items())


def list_configs(folder: Path) -> str:
    """The configs of a folder, with the first sentence of what each says of itself."""
    lines = []
    for file in sorted(folder.glob("*.py")):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        if text and file.stem != "common":
            headline = text.split("\n\n")[0]
            lines.append(_entry(f"{folder.name}/{file.name}", _first(headline)))
    return "\n".join(lines)


def _default(flag: Any) -> str:
    """A flag's default as the command line takes it."""
    value = flag.default
    return ",".join(value) if isinstance(value, list) else str(value)


def spelled(value: Any) -> str:
    """A value as the command line takes it; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        if value and all(isinstance(entry, str) for entry in value):
            return ",".join(value)
        return repr(value).replace(" ", "")
    return str(value)


def _paths(field: str) -> list[str]:
    """`a`, `a.b` and `a.b.c` of `a.b.c`."""
    parts = field.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _first(text: str) -> str:
    """The first sentence."""
    plain = " ".join(text.split())
    return re.split(r"(?<=\.) (?=[A-Z])", plain)[0].rstrip(".")


def _entry(name: str, text: str) -> str:
    """A name, and its explanation in a column of its own."""
    begin = f"  {name}"
    lines = textwrap.wrap(text, WIDTH - COLUMN)
    if len(begin) + 2 <= COLUMN and lines:
        begin = begin.ljust(COLUMN) + lines.pop(0)
    return "\n".join([begin, *(" " * COLUMN + line for line in lines)])
