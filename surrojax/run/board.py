"""TensorBoard events of a run, by tensorboardX, which needs no TensorFlow."""

import contextlib
import shutil
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from surrojax.run.files import explained


class Board:
    """The event files of a run, made anew from its records.

    A killed process loses the events that it had not flushed, so those of earlier
    processes are not built upon.

    Args:
      folder: where the event files go; what is in it is deleted.
      records: of the rounds done so far.

    Raises:
      InputError: they cannot be written.
    """

    def __init__(self, folder: Path, records: Iterable[dict[str, Any]]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        # It imports PyTorch where that is installed, which only who writes waits for.
        # Its SummaryWriter writes in a thread and at exit, where a full disk would be
        # told by tracebacks.
        from tensorboardX import RecordWriter

        self._folder = folder
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter(str(folder / name))
        try:
            with explained(folder):
                self._write(file_version="brain.Event:2")
            for record in records:
                self.add(record)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the event file."""
        # Each round was flushed; what could not be has been told, and comes next time.
        with contextlib.suppress(OSError):
            self._writer.close()

    def add(self, record: dict[str, Any]) -> None:
        """Adds the numbers of a round's record, at its global step.

        Raises:
          InputError: they cannot be written.
        """
        from tensorboardX.summary import scalar

        with explained(self._folder):
            for name, value in scalars(record).items():
                self._write(step=record["step"], summary=scalar(name, value))
            self._writer.flush()

    def _write(self, **told: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), **told)
        self._writer.write(event.SerializeToString())


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """A round's numbers under the tags that TensorBoard groups them by.

        hyper/p_z            the setting that the network was trained with
        accuracy/validation, accuracy/test, accuracy/surrogate_validation, ...
        loss/training, loss/validation, loss/surrogate_training, ...
        schedule/learning_rate, schedule/round, schedule/seconds
        search/best_score, search/mean_score, search/current_best_score
        stage1/current_validation, stage1/previous_validation: accuracies
        fitting/z            eq. 9
        fidelity/tau_score, fidelity/regret_accuracy, ...

    Args:
      record: of the round; what it has not, or what is not finite, is left out.
    """
    found: dict[str, float | None] = {
        f"hyper/{name}": value for name, value in record["hyper"].items()
    }
    for network, prefix in (("original", ""), ("surrogate", "surrogate_")):
        if network not in record:
            continue
        of, tested = record[network], record.get("test", {}).get(network)
        found[f"accuracy/{prefix}validation"] = of["validation_accuracy"]
        found[f"loss/{prefix}validation"] = of["validation_cross_entropy"]
        found[f"loss/{prefix}training"] = record[f"{prefix}training_loss"]
        if tested:
            found[f"accuracy/{prefix}test"] = tested["accuracy"]
    for name in ("learning_rate", "round", "seconds"):
        found[f"schedule/{name}"] = record[name]
    scores = [c["score"] for c in record.get("candidates", ())]
    finite = [score for score in scores if score is not None]
    if finite:
        found["search/best_score"] = max(finite)
        found["search/mean_score"] = sum(finite) / len(finite)
        found["search/current_best_score"] = record["current_best_score"]
    for name, of in record["stage1"].items():
        found[f"stage1/{name}_validation"] = of["original"]["validation_accuracy"]
    for site, value in record.get("euclidean", {}).items():
        found[f"fitting/{site}"] = value
    if "fidelity" in record:
        measured = record["fidelity"]
        for name, of in measured["tau"].items():
            found[f"fidelity/tau_{name}"] = of["value"]
        for name, of in measured["regret"].items():
            found[f"fidelity/regret_{name}"] = of["surrogate"]
    return {tag: value for tag, value in found.items() if value is not None}
