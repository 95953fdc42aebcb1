"""The pages of the documentation as Markdown tokens, for the tests that read them."""

import re
import shlex
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    file.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "results/README.md")
    for file in ROOT.glob(pattern)
)
NOT_RUN = "# Not run by the tests"
"""How a Python block begins that is not run; the reason follows."""


@cache
def tokens(page):
    """All tokens of a page, those inside paragraphs and tables included."""
    parser = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6)
    found = []
    for token in parser.parse((ROOT / page).read_text()):
        found += [token, *(token.children or ())]
    return found


def anchors(page):
    """What links to a page may have behind their #."""
    return {t.attrs["id"] for t in tokens(page) if "id" in t.attrs}


def links(page):
    """Targets of links and images."""
    found = [t.attrs.get("href") or t.attrs.get("src") for t in tokens(page)]
    return [target for target in found if target]


def fences(page, language):
    """(line, text) of the fenced blocks in a language, lines counted from 1."""
    return [
        (token.map[0] + 2, token.content)
        for token in tokens(page)
        if token.type == "fence" and token.info == language
    ]


def script(page):
    """A page's Python, each block at its own line; empty: there is none."""
    lines = []
    for line, text in fences(page, "python"):
        if not text.startswith(NOT_RUN):
            lines += [""] * (line - 1 - len(lines)) + text.splitlines()
    return "\n".join(lines)


def commands(page, program):
    """The commands of a page, in blocks or in a line, that begin with some words.

    Those with shell variables are passed over.
    """
    blocks = [text.replace("\\\n", " ") for _, text in fences(page, "")]
    inline = [token.content for token in tokens(page) if token.type == "code_inline"]
    lines = [line for text in blocks for line in text.splitlines()] + inline
    return [
        shlex.split(line, comments=True)
        for line in dict.fromkeys(map(str.strip, lines))
        if re.match(rf"{re.escape(program)}\b", line) and "$" not in line
    ]
