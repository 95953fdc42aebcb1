"""Prepared images that stay on the disk and are read by number."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from surrojax.data.tfds_local import decode_png, name_damage, quiet_tfds

_THREADS = min(16, os.cpu_count() or 1)


class StoredImages:
    """Images `[n, S, S, C]` uint8 of a prepared builder, in any order.

    Indexing reads and decodes; what it gives is an array of one's own. Several threads
    may read at once, and an instance can be sent to another process.

    Args:
      directory: of the prepared data, a version's.
      split: of the builder.
      places: `[n]` int, for each image its place in the split.
      shape: `(n, S, S, C)`.
    """

    def __init__(
        self,
        directory: Path,
        split: str,
        places: np.ndarray,
        shape: tuple[int, int, int, int],
    ) -> None:
        self._directory, self._split, self._places = directory, split, places
        self.shape = shape

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            StoredImages,
            (self._directory, self._split, self._places, self.shape),
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The images at `rows`, indexed as an array's first axis is.

        Raises:
          InputError: the prepared data are damaged.
        """
        places = self._places[rows]
        flat = np.asarray(places).ravel()
        pixels = np.empty((len(flat), *self.shape[1:]), np.uint8)

        def decode(item: tuple[int, dict[str, Any]]) -> None:
            place, record = item
            pixels[place] = decode_png(record["image"]).reshape(self.shape[1:])

        with name_damage(self._directory):
            records = self._source.__getitems__(flat.tolist())
            if len(records) < 2 * _THREADS:
                for item in enumerate(records):
                    decode(item)
            else:
                # Pillow lets other threads run while it decodes.
                with ThreadPoolExecutor(_THREADS) as pool:
                    list(pool.map(decode, enumerate(records)))
        return pixels.reshape(*np.shape(places), *self.shape[1:])

    @cached_property
    def _source(self) -> Any:
        with quiet_tfds():
            builder = tfds.builder_from_directory(self._directory)
            return builder.as_data_source(
                self._split, decoders={"image": tfds.decode.SkipDecoding()}
            )
