"""Where the seconds of a round go, when the host calls its parts."""

import time
from collections.abc import Callable
from typing import Any

import jax

from surrojax.programs import Programs

STAGES = {
    "fit": "stage 1",
    "evaluate": "evaluation",
    "compete": "stage 2",
    "tell": "search",
    "ask": "search",
}
"""What each part of a round counts as."""


class Stopwatch:
    """Adds up the seconds of the parts that it is put on."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def on(self, programs: Programs) -> Programs:
        """The same programs, each of which waits for its result and is timed."""
        return Programs(
            **{
                name: self._timed(STAGES[name], program)
                for name, program in programs._asdict().items()
            }
        )

    def lap(self) -> dict[str, float]:
        """Seconds by stage since the last call; none where nothing was timed."""
        found, self._seconds = self._seconds, {}
        return found

    def _timed(self, stage: str, program: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            start = time.perf_counter()
            result = jax.block_until_ready(program(*given))
            taken = time.perf_counter() - start
            self._seconds[stage] = self._seconds.get(stage, 0.0) + taken
            return result

        return timed
