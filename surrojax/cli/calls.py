"""Command lines as words: what a command says without some flags, and with others."""

import re
from collections.abc import Sequence
from typing import Any

SWITCHES = ("dry_run", "quiet")
"""Flags of `launch.py` that have no value of their own."""


def without(command: Sequence[str], *names: str) -> list[str]:
    """The words of a command line without some flags and their values.

    Args:
      command: as `sys.argv`.
      names: of the flags; a flag that has no value of its own, such as `dry_run`, may
        be spelled `nodry_run` as well.
    """
    words, kept = iter(command), []
    pattern = re.compile(rf"--?(no)?({'|'.join(map(re.escape, names))})(=|$)")
    for word in words:
        flag = pattern.match(word)
        if flag is None:
            kept.append(word)
        elif flag[2] not in SWITCHES and not flag[3]:
            next(words, None)  # its value is a word of its own
    return kept


def override(field: str, value: Any) -> str:
    """`--config.FIELD=VALUE`, with the least quoting."""
    plain = ",".join(value) if field == "tune" and value else value
    return f"--config.{field}={plain}"


def named(field: str, value: Any) -> str:
    """`FIELD=VALUE` as the name of a folder: `tune=p_z+p_x`, `tune=none` of ()."""
    plain = "+".join(map(str, value)) or "none" if isinstance(value, tuple) else value
    fit = re.sub(r"[^\w.+-]", "_", str(plain))
    return f"{field}={fit}"
