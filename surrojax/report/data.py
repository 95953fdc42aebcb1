"""What was read: the data's manifest in tables, in words."""

from collections.abc import Mapping
from typing import Any

from surrojax.fields import flatten
from surrojax.report.folder import Run
from surrojax.report.tables import Table, count, plain

CAPTIONS = {
    "faults": "Faults of the database, counted and never mended",
    "duplicates": "Samples whose pixels occur before, counted and never removed",
    "left_out": "Left out, by reason",
}
"""Of what has several figures; else its name in the manifest."""

BY_CLASS = ("classes", "counts")

PARTS = ("source", "target")
"""Of a cross-database run: the manifests of both databases."""


def manifest(run: Run) -> dict[str, Any]:
    """That of config.json; nothing where there is none."""
    return run.description.get("manifest") or {}


def data(run: Run) -> list[Table]:
    """What was read, and with how many faults, without what is empty."""
    return _tables(manifest(run))


def _of_images(found: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without what says nothing of images.

    Those of which each is a sequence of its own, and those in which no face was looked
    for.
    """
    kept = dict(found)
    if "frames" in kept and kept["frames"] == kept.get("sequences"):
        del kept["sequences"]
        kept = {"images" if k == "frames" else k: v for k, v in kept.items()}
    if not kept.get("aligned", True):
        kept.pop("no_face_found", None)
    return kept


def _tables(found: Mapping[str, Any], of: str = "") -> list[Table]:
    """Those of a manifest.

    Args:
      found: it.
      of: begins each caption.
    """
    tables, single = [], {}
    splits = found.get("splits")
    subjects = {
        name: split["subjects"]
        for name, split in (splits.items() if isinstance(splits, dict) else ())
        if isinstance(split, dict) and "subjects" in split
    }
    for key, value in _of_images(found).items():
        if _is_empty(value) or (key == "subjects" and value in (0, subjects)):
            continue
        if not isinstance(value, dict):
            single[key] = value
        elif key in PARTS:
            tables += _tables(value, f"{of}{_words(key)}: ")
        else:
            tables.append(_grid(key, value, of) or _figures(key, value, of))
    if single:
        rows = [(_begin(_words(key)), _said(value)) for key, value in single.items()]
        tables.insert(0, Table(_begin(f"{of}what was read"), ("", ""), rows, True))
    return tables


def _grid(key: str, value: Mapping[str, Any], of: str) -> Table | None:
    """A table of what has the same numbers for several things, such as splits."""
    parts = list(value.values())
    if len(parts) < 2 or not all(
        isinstance(p, dict) and list(p) == list(parts[0]) for p in parts
    ):
        return None
    if not all(type(cell) is int for part in parts for cell in part.values()):
        return None
    names = [name for name in parts[0] if not _says_nothing(name, parts)]
    rows = [
        [_words(name), *(count(part[n]) for n in names)] for name, part in value.items()
    ]
    said = "samples by class" if key in BY_CLASS else _caption(key)
    return Table(_begin(of + said), ["", *map(_words, names)], rows)


def _says_nothing(column: str, parts: list[dict[str, int]]) -> bool:
    """Whether no subject is known, or each image is a sequence of its own."""
    if column == "subjects":
        return not any(part[column] for part in parts)
    return column == "sequences" and all(p[column] == p.get("images") for p in parts)


def _figures(key: str, value: Mapping[str, Any], of: str) -> Table:
    """A row for each figure of a group."""
    rows = [
        (_words(field.replace(".", " ") if key == "duplicates" else field), _said(one))
        for field, one in flatten(value)
        if not _is_empty(one)
    ]
    names = list(value)
    said = _caption(key)
    if key in BY_CLASS:
        said = "samples by split" if "train" in names else "samples by class"
    is_text = any(isinstance(one, str) for _, one in flatten(value))
    return Table(_begin(of + said), ("", ""), rows, words=is_text)


def _is_empty(value: Any) -> bool:
    return value is None or (not isinstance(value, bool | int | float) and not value)


def _caption(key: str) -> str:
    return CAPTIONS.get(key) or _words(key)


def _words(key: str) -> str:
    return "SHA-256" if key == "sha256" else key.replace("_", " ")


def _begin(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return count(value) if type(value) is int else plain(value)
