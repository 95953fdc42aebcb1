"""From what a page says to HTML; whatever is put into it is escaped."""

from typing import Any

import jinja2

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("surrojax.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, context: dict[str, Any]) -> str:
    """A page.

    Args:
      template: a file of `templates/`.
      context: what it names.
    """
    return _TEMPLATES.get_template(template).render(context)
