"""Trainings with the schedule that a run of the method found.

They tell the schedule's share of the gain from that of keeping the better of two
networks in every round, and from that of the setting in which it ends.
"""

from surrojax.baselines.attempt import Attempt, Kept
from surrojax.baselines.box import Setting
from surrojax.baselines.folder import Run
from surrojax.errors import InputError
from surrojax.run.replay import read_schedule

SOURCE = "surrojax"
"""The method whose schedules are replayed."""

OTHER_SEED = 500
"""From the seed of the run to that of its replay, which sees other chances."""


class NotYetError(InputError):
    """The run whose schedule is wanted has not finished."""


def replay(attempt: Attempt) -> Kept:
    """One training with the setting of each round, as long as the method's run.

    Its last round is a whole one, where the run's length is no multiple of it.

    Raises:
      NotYetError: its run of the same seed has not finished.
    """
    schedule = _schedule(attempt)
    return _train(attempt, schedule, len(schedule))


def replay_last(attempt: Attempt) -> Kept:
    """One training as long with the setting of the last round throughout.

    Raises:
      NotYetError: as `replay`.
    """
    schedule = _schedule(attempt)
    return _train(attempt, schedule[-1:], len(schedule))


def _train(attempt: Attempt, schedule: list[Setting], rounds: int) -> Kept:
    seed = attempt.seed + OTHER_SEED
    return attempt.keep(attempt.follow(schedule, rounds, seed))


def _schedule(attempt: Attempt) -> list[Setting]:
    """The setting of each round of a training that is as long as the run."""
    run, folder = Run(SOURCE, 1, attempt.seed), attempt.folder
    if folder.read(run) is None:
        raise NotYetError(f"the schedule of {run} is wanted, which has not finished")
    schedule = read_schedule(folder.own(run)).ordered(attempt.trainer.names)
    # A round of the run may be longer or shorter than one of the training.
    length = attempt.trainer.steps_per_round
    ends = range(length, int(schedule.ends[-1]) + length, length)
    return [schedule.setting(end - 1) for end in ends]
