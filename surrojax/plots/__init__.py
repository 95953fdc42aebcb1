"""Figures from the records of a run, which are the lines of its metrics.jsonl.

Each function returns a matplotlib `Figure` of the records of a run; but for
`plot_comparison`, of several runs by setting, and `plot_confusion_matrix`, of counts.
`write` puts what the records allow into a folder.
"""

from typing import TYPE_CHECKING

from surrojax.lazy import attach

if TYPE_CHECKING:
    from surrojax.plots.candidates import plot_importance, plot_parallel_coordinate
    from surrojax.plots.comparison import plot_comparison
    from surrojax.plots.confusion import plot_confusion_matrix
    from surrojax.plots.fidelity import plot_fidelity
    from surrojax.plots.files import drawable, write
    from surrojax.plots.rounds import plot_history, plot_schedule

__all__ = [
    "drawable",
    "plot_comparison",
    "plot_confusion_matrix",
    "plot_fidelity",
    "plot_history",
    "plot_importance",
    "plot_parallel_coordinate",
    "plot_schedule",
    "write",
]

# What draws takes seconds to import; --help and predict do without.
__getattr__, __dir__ = attach(
    __name__,
    {
        "drawable": "files",
        "plot_comparison": "comparison",
        "plot_confusion_matrix": "confusion",
        "plot_fidelity": "fidelity",
        "plot_history": "rounds",
        "plot_importance": "candidates",
        "plot_parallel_coordinate": "candidates",
        "plot_schedule": "rounds",
        "write": "files",
    },
)
