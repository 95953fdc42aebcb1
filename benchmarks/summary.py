"""The README's table of results, made from the run folders in `results/`.

python -m benchmarks.summary
"""

import json
import statistics
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "results"

ROWS = (
    # title, the paper's figure, folders below results/
    ("untuned: all eight at 0, 20,000 steps", "52.97", "fer2013_lenet_untuned/*"),
    ("PSO on p_z and p_x, 30 rounds", "58.79", "fer2013_lenet_pso_dropout"),
    ("PSO on all eight, 80 rounds", "60.24", "fer2013_lenet_pso"),
)


def percent(values: list[float]) -> str:
    """Mean and standard error in percent; the mean alone for one value."""
    mean = f"{100 * statistics.mean(values):.2f}"
    if len(values) == 1:
        return mean
    error = 100 * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean} ± {error:.2f}"


def row(title: str, paper: str, pattern: str) -> str:
    """A line of the table for all runs that a pattern finds."""
    results = [
        json.loads((folder / "result.json").read_text())
        for folder in sorted(RESULTS.glob(pattern))
    ]
    accuracies = (
        percent([result[f"{split}_accuracy"] for result in results])
        for split in ("test", "validation", "train")
    )
    best = percent([result["best_round"]["test_accuracy"] for result in results])
    return f"| {' | '.join([title, paper, *accuracies, best, str(len(results))])} |"


def main() -> None:
    print(
        "| LeNet | paper | test | validation | training | best round's test | seeds |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for title, paper, pattern in ROWS:
        print(row(title, paper, pattern))


if __name__ == "__main__":
    main()
