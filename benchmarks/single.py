"""Tables of class weights, fine-tuning and the toy problem."""

from pathlib import Path
from typing import Any

from benchmarks.records import read
from surrojax import filenames
from surrojax.baselines.markdown import table_of

CLASS_WEIGHTS = {"balanced": "`class_weights=balanced`", "plain": "none"}

TOY = Path(__file__).parent / "results" / "toy.json"


def class_weights(results: Path) -> str:
    """Accuracy and what speaks of rare classes, with weights and without."""
    head = ("", "accuracy", "mean recall", "macro-F1", "recall of disgust")
    lines = []
    for name, title in CLASS_WEIGHTS.items():
        found = read(results / "class_weights" / name / "seed=0" / filenames.RESULT)
        names = ("test_accuracy", "balanced_accuracy", "macro_f1")
        cells = [f"{100 * found[name]:.2f}" for name in names]
        cells.append(f"{100 * found['recall']['disgust']:.1f}")
        lines.append([title, *cells])
    return table_of(head, lines)


def fine_tuning(results: Path) -> str:
    """The parent network's verification, and M-ResNet without it and with it."""
    parent = read(results / "pretrain_lfw" / filenames.RESULT)
    config = read(results / "pretrain_lfw" / filenames.CONFIG)["config"]
    pixels = parent["pixels"]
    size = f"{config['dataset']['height']}x{config['dataset']['width']}"
    verified = _verified(
        parent["verification_accuracy"],
        parent["verification_standard_error"],
        parent["verification_auc"],
    )
    plain = _verified(pixels["accuracy"], pixels["standard_error"], pixels["auc"])
    tests = {
        name: read(results / f"fer2013_mresnet99_{name}" / filenames.RESULT)
        for name in ("scratch", "finetuned")
    }
    steps = tests["scratch"]["original_steps"]
    rows = {
        f"parent, {parent['steps']:,} steps at {size}: verification of "
        f"{parent['verification_people']} others, "
        f"{parent['verification_pairs']:,} pairs": verified,
        "the same by plain pixels": plain,
        f"M-ResNet on FER2013, {steps:,} steps from scratch, untuned: "
        "PrivateTest": _percent(tests["scratch"]),
        "the same from the parent (26 layers loaded; CoPr1 and the FC layers "
        "fresh)": _percent(tests["finetuned"]),
    }
    return table_of(("network", "accuracy"), rows.items())


def _verified(accuracy: float, error: float, area: float) -> str:
    return f"{100 * accuracy:.2f} ± {100 * error:.2f} % (AUC {area:.3f})"


def _percent(found: dict[str, Any]) -> str:
    return f"{100 * found['test_accuracy']:.2f} %"


def toy(file: Path = TOY) -> str:
    """Median distances to the optimum, by optimiser and number of variables."""
    rows = read(file)["rows"]
    variables = list(rows[0]["median_distance"])
    head = ("optimiser", "constants", *(f"n = {n}" for n in variables))
    lines = []
    for row in rows:
        values = ", ".join(f"{n} {v:g}" for n, v in row.get("values", {}).items())
        constants = f"{row['constants']}: {values}" if values else ""
        medians = (f"{row['median_distance'][n]:.2g}" for n in variables)
        lines.append([row["optimiser"], constants, *medians])
    return table_of(head, lines, words=2)
