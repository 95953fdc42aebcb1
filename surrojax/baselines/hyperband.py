"""Hyperband: many trainings are begun, and few of them finished.

Optuna's pruner decides, on validation accuracies that it is told as they go; its TPE
chooses the settings.
"""

from functools import partial

import optuna
from optuna.pruners import HyperbandPruner
from optuna.trial import TrialState

from surrojax.baselines.attempt import Attempt, Kept
from surrojax.baselines.black_box import score_of
from surrojax.baselines.optuna_tuners import coordinates, quiet, tpe, unit_cube
from surrojax.stage1 import Fusion

REDUCTION = 3
"""Of three trainings, one goes on."""

SHORTEST = REDUCTION**3
"""What a full training is longer than the shortest one, where rounds allow it."""


def play(attempt: Attempt) -> Kept:
    """Trainings with the full one's learning rates, until the budget pays for no more.

    One is begun only if the budget could see it to its end. A training goes on in
    place after it was looked at, so nothing is paid twice. Of those that came to their
    end, the best by validation is kept.
    """
    attempt.box.check()
    attempt.budget.check()
    with attempt.clocked(), quiet():
        return _play(attempt)


def _play(attempt: Attempt) -> Kept:
    trainer, box, left = attempt.trainer, attempt.box, attempt.budget.total_rounds
    every = max(1, trainer.rounds // SHORTEST)
    study = optuna.create_study(
        study_name="hyperband",  # the pruner deals trials to its brackets by it
        direction="maximize",
        sampler=tpe(attempt.seed),
        pruner=HyperbandPruner(every, trainer.rounds, REDUCTION),
    )
    kept: Kept | None = None
    while left >= trainer.rounds:
        trial = study.ask(unit_cube(box.dimensions))
        setting = box.setting(box.point(coordinates(trial, box.dimensions)))
        found, rounds = _follow(attempt, trial, trainer.values(setting), every)
        left -= rounds
        attempt.bill.original_steps += rounds * trainer.steps_per_round
        attempt.bill.trainings += 1
        [last] = trainer.validate(found)
        attempt.tell(last, f"{rounds} rounds")
        if rounds < trainer.rounds:
            study.tell(trial, state=TrialState.PRUNED)
            continue
        study.tell(trial, score_of(last, attempt.by))
        if kept is None or last.rank(attempt.by) > kept.trial.rank(attempt.by):
            kept = Kept(setting, last, partial(trainer.test, found))
    assert kept is not None  # the first one has no rival that could stop it
    return kept


def _follow(
    attempt: Attempt, trial: optuna.Trial, values: tuple[float, ...], every: int
) -> tuple[Fusion, int]:
    """A training until it is stopped, or has come to its end; its rounds."""
    trainer, seed = attempt.trainer, attempt.seed
    fusions, halve_every = trainer.begin(seed, 1), trainer.halve_every(trainer.rounds)
    for round_ in range(trainer.rounds):
        fusions = trainer.advance(fusions, [values], seed, round_, halve_every)
        done = round_ + 1
        if done % every == 0 and done < trainer.rounds:
            [now] = trainer.validate(fusions)
            trial.report(score_of(now, attempt.by), done)
            if trial.should_prune():
                return fusions, done
    return fusions, trainer.rounds
