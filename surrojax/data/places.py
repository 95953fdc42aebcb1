"""Where databases are looked for, and where what was made of them is kept."""

import os
from pathlib import Path

from surrojax.paths import path_of


def data_folder(directory: str | os.PathLike[str] | None = None) -> Path:
    """`directory`, else `$SURROJAX_DATA`, else TFDS's manual folder."""
    manual = "~/tensorflow_datasets/downloads/manual"
    return path_of(directory or os.environ.get("SURROJAX_DATA") or manual)


def cache_folder(cache: str | os.PathLike[str] | None = None) -> Path:
    """`cache`, else `$SURROJAX_CACHE`, else ~/.cache/surrojax."""
    default = "~/.cache/surrojax"
    return path_of(cache or os.environ.get("SURROJAX_CACHE") or default)
