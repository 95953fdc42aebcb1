"""What was run: the config, the machine, and the command."""

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

from surrojax.cli.calls import override, without
from surrojax.fields import flatten
from surrojax.report.data import manifest
from surrojax.report.folder import Run
from surrojax.report.tables import Table, count, plain


def title(run: Run) -> str:
    """The network and the database, in few words."""
    target = run.config.get("dataset", {}).get("target")
    return f"{run.network} on {run.database}" + (f", for {target}" if target else "")


def facts(run: Run) -> list[tuple[str, str]]:
    """What a reader asks first."""
    read = manifest(run)
    splits = "as they were given" if run.is_own else "the database's own splits"
    found = [
        ("folder", shown(run.path)),
        ("network", run.network),
        ("database", run.database),
        ("protocol", plain(read.get("protocol") or splits)),
        ("seed", plain(run.config["seed"])),
        ("done", f"{len(run.records)} rounds, {count(run.steps)} steps"),
        ("tuned", ", ".join(map(plain, run.config["tune"])) or _instead(run)),
    ]
    if run.config["tune"]:
        # Of a run of `surrojax.tune`, the search's settings stand among the others.
        of = run.config if run.is_own else run.config.get("search") or {}
        which, many = (
            of.get("search" if run.is_own else "optimizer"),
            of.get("population"),
        )
        found.append(("search", f"{plain(which)}, {plain(many)} candidates a round"))
    if read.get("held_out"):
        found.append(("test split", plain(read["held_out"])))
    return found


def _instead(run: Run) -> str:
    """What a run without a search was trained with."""
    replayed = "schedule" in (run.description.get("data") or {})
    return "nothing: a schedule was replayed" if replayed else "nothing: untuned"


def shown(path: Path) -> str:
    """A path, as short as the working folder allows."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def environment(run: Run) -> Table:
    """Versions and device."""
    versions = run.description.get("versions")
    rows = [(name, plain(of)) for name, of in (versions or {}).items()]
    rows.append(("device", plain(run.description.get("device"))))
    return Table("Versions and device", ("", ""), rows, words=True)


def config(run: Run) -> Table:
    """Every field of the resolved config."""
    rows = [(field, plain(value)) for field, value in flatten(run.config)]
    return Table("The resolved config", ("field", "value"), rows, words=True)


def command(run: Run) -> str | None:
    """How the run was called; None: from Python."""
    words = _words(run)
    return _lines(["python", *words]) if words else None


def alone(run: Run) -> str | None:
    """How to call one run of several by itself; None where that is `command`."""
    fields = _swept(run)
    if not fields or not _words(run):
        return None
    return _changed(run, fields, run.path)


def called(run: Run) -> str:
    """What was called in Python, where there was no command."""
    return "surrojax.tune" if run.is_own else "surrojax.experiment.train"


def untuned_command(run: Run) -> str | None:
    """How to get the untuned network beside this one; None: from Python."""
    if not _words(run):
        return None
    return _changed(run, _swept(run) | {"tune": ()}, _beside(run))


def untuned_call(run: Run) -> str | None:
    """The same in Python, for a run of `surrojax.tune`; None: of a config."""
    if not run.is_own:
        return None
    return f"surrojax.tune(..., tune=(), workdir={shown(_beside(run))!r})"


def _beside(run: Run) -> Path:
    """The folder of the untuned network."""
    name = run.path.name
    beside = re.sub(r"(^|,)tune=[^,]*", r"\1tune=none", name)
    if beside == name:
        beside = f"{name},tune=none"
    return run.path.parent / beside


def _changed(run: Run, changes: dict[str, Any], folder: Path) -> str:
    flags = [f"config.{field}" for field in changes]
    kept = without(_words(run), "sweep", "workdir", "dry_run", *flags)
    overrides = [override(field, value) for field, value in changes.items()]
    return _lines(["python", *kept, *overrides, f"--workdir={shown(folder)}"])


def _lines(words: list[str]) -> str:
    """A command for a shell, a flag a line."""
    lines: list[list[str]] = [[]]
    for word in words:
        if word.startswith("-"):
            lines.append([])
        lines[-1].append(word)
    return " \\\n    ".join(shlex.join(line) for line in lines)


def _words(run: Run) -> list[str]:
    return [str(word) for word in run.description.get("command") or ()]


def _swept(run: Run) -> dict[str, Any]:
    """What the run had of fields of which its command had several values.

    A sweep's are named by its flags; launch.py itself makes one of the folds and of
    `replicas`, whose runs' folders say so.
    """
    fields, words = dict(flatten(run.config)), _words(run)
    found: dict[str, bool] = {}
    for word, following in pairwise([*words, ""]):
        flag = re.match(r"--?sweep(=|$)", word)
        if flag:
            given = word[flag.end() :] if flag[1] else following
            found[given.removeprefix("config.").partition("=")[0]] = True
    if fields.get("replicas", 1) != 1:
        found |= {"replicas": True, "seed": True}
    if run.path.name.startswith("dataset.fold="):
        found["dataset.fold"] = True
    values = {field: fields[field] for field in found if field in fields}
    return {
        field: tuple(value) if isinstance(value, list) else value
        for field, value in values.items()
    } | ({"replicas": 1} if "replicas" in values else {})
