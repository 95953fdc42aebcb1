"""The page on one run."""

from surrojax.report import origin, result, rounds
from surrojax.report.data import data
from surrojax.report.folder import Run
from surrojax.report.page import render
from surrojax.report.tables import count


def page(run: Run, untuned: Run | None) -> str:
    """The HTML of a run's report.

    Args:
      run: finished or not, of one round at least.
      untuned: the same without tuning, where there is one to compare with.
    """
    runs = result.finished(run, untuned)
    context = {
        "title": origin.title(run),
        "facts": origin.facts(run),
        "done": count(run.steps),
        "asked": count(run.config["max_iterations"]),
        "is_finished": run.result is not None,
        "is_tuned": bool(run.config["tune"]),
        "is_own": run.is_own,
        "has_test": run.has_test,
        "untuned": untuned and origin.shown(untuned.path),
        "untuned_command": origin.untuned_command(run) or origin.untuned_call(run),
        "pictures": rounds.pictures(run),
        "schedule": rounds.schedule(run),
        "schedule_link": rounds.schedule_link(run),
        "importances": rounds.importances(run),
        "fidelities": rounds.fidelities(run),
        "rounds_to_measure": rounds.to_measure(run),
        "data": data(run),
        "environment": origin.environment(run),
        "config": origin.config(run),
        "command": origin.command(run),
        "called": origin.called(run),
        "alone": origin.alone(run),
    }
    if run.result is not None:
        context |= {
            "figures": result.headline(runs),
            "accuracies": result.accuracies(runs),
            "costs": result.costs(runs),
            "best_round": (run.result.get("best_round") or {}).get("round"),
            "stopped": result.ended_early(run),
        }
    if run.result is not None and run.has_test:
        counts, names = run.result["confusion_matrix"], list(run.result["recall"])
        context |= {
            "classes": result.classes(runs),
            "confusion": result.confusion(counts, names),
        }
    return render("run.html", context)
