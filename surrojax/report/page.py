"""From what a page says to HTML; whatever is put into it is escaped."""

import re
from typing import Any

import jinja2
from markupsafe import Markup

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("surrojax.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def breakable(text: str) -> Markup:
    """A text that may go on in the next line after the marks in `search.optimizer=de`.

    Numbers stay whole, as `0.5` and `12,345`.
    """
    parts = re.split(r"(?<=[=+/_])(?=\w)|(?<=[.,])(?=[a-zA-Z])", text)
    return Markup("<wbr>").join(parts)


_TEMPLATES.filters["breakable"] = breakable


def render(template: str, context: dict[str, Any]) -> str:
    """A page.

    Args:
      template: a file of `templates/`.
      context: what it names.
    """
    return _TEMPLATES.get_template(template).render(context)
