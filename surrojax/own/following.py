"""Training once with a schedule that is there already, without a search."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.method import Method
from surrojax.own.earlier import saved_in
from surrojax.own.method import own_of
from surrojax.own.settings import Settings
from surrojax.paths import path_of
from surrojax.run.records import config_in
from surrojax.run.replay import read_schedule
from surrojax.schedule import Schedule
from surrojax.space import Values
from surrojax.values import ALL


class Followed(NamedTuple):
    """A schedule that a run follows instead of a search.

    Attributes:
      schedule: what is followed.
      origin: where it was read; None: it was given itself.
      layers: that it was found for; None: nothing says so.
    """

    schedule: Schedule
    origin: str | os.PathLike[str] | None
    layers: list[str] | None

    @classmethod
    def of(
        cls, schedule: Any, settings: Mapping[str, Any], options: Settings
    ) -> tuple["Followed | None", Settings]:
        """The schedule that `tune` was given, if any, and the settings with it.

        Args:
          schedule: of `tune`.
          settings: that the caller gave; a form such as `PAPER` says `tune="all"`.
          options: these and the defaults.

        Raises:
          InputError: it is none, cannot be read, or a search was asked for as well.
        """
        if schedule is None:
            return None, options
        origin, layers = None, None
        if isinstance(schedule, str | os.PathLike):
            origin, beside = schedule, _config_beside(schedule)
            options, layers = _halved_as(beside, options), beside.get("layers")
            schedule = read_schedule(origin)
        if not isinstance(schedule, Schedule):
            raise InputError(
                f"schedule: is of {type(schedule).__name__}; give a surrojax.Schedule, "
                "such as a result's, or the folder of a run"
            )
        followed = cls(schedule, origin, layers)
        return followed, _without_search(schedule, settings, options)

    def on(self, method: Method, max_iterations: int) -> Method:
        """A method that follows it, round by round.

        Raises:
          InputError: its rounds or names are not the method's.
        """
        space = Values.like(method.space)
        ordered = self.schedule.ordered(space.names)
        ordered.check(method.plan(max_iterations))
        return replace(method, space=space, schedule=ordered)

    def told(self, method: Method, steps: int) -> list[str]:
        """Says where it was found for other layers or steps than it acts on here.

        Args:
          method: of the run.
          steps: of all its rounds.
        """
        here = [layer.name for layer in own_of(method).layers]
        found = []
        if self.layers is not None and self.layers != here:
            found.append(
                f"the schedule of {self.origin} was found for "
                f"{' and '.join(self.layers)}, and acts on {' and '.join(here)} here"
            )
        return found + self.schedule.other_length(
            steps, "its stretched(steps) is the same for another length"
        )


def _config_beside(schedule: str | os.PathLike[str]) -> Record:
    """The config of the run whose folder or schedule file is given, if it is of one."""
    place = path_of(schedule)
    return config_in(saved_in(place if place.is_dir() else place.parent)) or {}


def _halved_as(beside: Record, options: Settings) -> Settings:
    """With the fall of the rate that a run of `tune` had, whose schedule is followed.

    One that was extended kept that of its first length.
    """
    had = beside.get("halve_every")
    if options.halve_every is not None or had is None:
        return options
    return replace(options, halve_every=had)


def _without_search(
    schedule: Schedule, settings: Mapping[str, Any], options: Settings
) -> Settings:
    """Settings that search nothing, with the schedule's rounds where none are said.

    Args:
      schedule: that is followed.
      settings, options: of `Followed.of`.

    Raises:
      InputError: a search or fixed values were asked for as well.
    """
    asked = settings.get("tune", ALL)
    if not (isinstance(asked, str) and asked == ALL) or options.fixed:
        raise InputError(
            "schedule: says all settings by itself; leave out tune and fixed"
        )
    length = options.iterations_per_round
    if length is None:
        length = min(schedule.unit, options.max_iterations)
    return replace(options, tune=(), iterations_per_round=length)
