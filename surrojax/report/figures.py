"""Figures as SVG inside the page, in the colours of whoever reads it."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

INK = "#010203"
"""What is drawn in this colour takes the colour of the page's text."""

COLORS = (
    *("#2f7fc4", "#d4660f", "#2b9148", "#d5434c", "#9467bd"),
    *("#96695b", "#c356a0", "#7d7d7d", "#8b8a12", "#1691a3"),
)
"""Each has a contrast of 3 at least to the light page and to the dark one."""

PAGE = "#fdfefd"
"""And what is drawn in this one takes the colour of the page."""

WIDTH = 5.2
"""Inches; two stand beside each other on a wide screen, and one on a telephone."""

STYLE = dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"),
    INK,
) | {
    "axes.facecolor": PAGE,
    "axes.prop_cycle": cycler(color=COLORS),
    "figure.facecolor": "none",
    "legend.framealpha": 0.0,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "surrojax",  # the same records make the same page
}


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
      svg: the drawing.
      caption: what it shows and how to read it.
    """

    svg: Markup
    caption: str


def picture(name: str, draw: Callable[[], Figure], alt: str, caption: str) -> Picture:
    """Draws a figure for the page.

    Args:
      name: of the figure, unique in the page.
      draw: makes it.
      alt: what a reader who cannot see it should know.
      caption: below it.
    """
    with _style():
        figure = draw()
        figure.set_size_inches(WIDTH, 0.9 * figure.get_size_inches()[1])
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return Picture(_inline(file.getvalue(), name, alt), caption)


@contextmanager
def _style() -> Iterator[None]:
    with style.context(STYLE), warnings.catch_warnings():
        # The reader's browser has the letters that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", r"Glyph .* missing", UserWarning)
        yield


def _inline(drawing: bytes, name: str, alt: str) -> Markup:
    """An SVG file as an element of a page that has others."""
    root = ElementTree.fromstring(drawing)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _adapt(value, _local(key), name)
            for key, value in element.attrib.items()
        }
    for parent in list(root.iter()):
        for child in list(parent):
            # A style sheet would be the whole page's; page.css has its rules.
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": width,
        "height": height,
        "role": "img",
        "aria-label": alt,
    }
    # Made by matplotlib, and escaped by ElementTree.
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _adapt(value: str, key: str, name: str) -> str:
    """The page's text colour, and ids that no other figure has."""
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return re.sub("^#", f"#{name}-", value)
    value = value.replace("url(#", f"url(#{name}-")
    return value.replace(INK, "currentColor").replace(PAGE, "var(--page)")
