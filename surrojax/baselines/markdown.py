"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table_of(head: Sequence[str], rows: Iterable[Iterable[str]], words: int = 1) -> str:
    """A table.

    Args:
      head: what the columns are called.
      rows: cells of each line.
      words: columns of words; those after them are numbers, and set to the right.
    """
    rule = "|" + "---|" * words + "---:|" * (len(head) - words)
    return "\n".join((_line(head), rule, *map(_line, rows)))


def _line(cells: Iterable[str]) -> str:
    """A line of a table."""
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
