"""Key points that were found once, kept so that another size does not look again."""

import json
from pathlib import Path

import numpy as np

from surrojax.errors import InputError


class Landmarks:
    """Key points by frame, in a file that grows by a line a frame.

    A process that is killed loses the line it was writing.

    Args:
      file: JSON lines; made if it is missing.

    Raises:
      InputError: the file cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self._points: dict[str, list[list[float]] | None] = {}
        whole = b""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                # What follows the last line's end is half a line.
                whole = file.read_bytes().rpartition(b"\n")[0]
            for line in whole.splitlines():
                entry = json.loads(line)
                self._points[entry["frame"]] = entry["points"]
            self._file = file.open("ab")
            self._file.truncate(len(whole) + bool(whole))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{file}: is damaged; delete it, and the faces are looked for anew"
            ) from error
        except OSError as error:
            raise InputError(
                f"{file}: the cache cannot be written ({error}); name another folder "
                "in SURROJAX_CACHE"
            ) from error

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def __contains__(self, frame: str) -> bool:
        return frame in self._points

    def __getitem__(self, frame: str) -> np.ndarray | None:
        """`[5, 2]` float32, or None: no face was found."""
        points = self._points[frame]
        return None if points is None else np.array(points, np.float32)

    def __setitem__(self, frame: str, points: np.ndarray | None) -> None:
        values = None if points is None else np.asarray(points, np.float64).tolist()
        self._points[frame] = values
        line = json.dumps({"frame": frame, "points": values})
        self._file.write(f"{line}\n".encode())
        self._file.flush()
