"""The records of benchmarks.own_network are what the page shows."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.own_network import CASES, table

ROOT = Path(__file__).parent.parent
FILES = {
    "digits": "own_network.json",
    "digits_adam": "own_adam.json",
    "faces": "own_faces.json",
    "residual": "own_residual.json",
}


@pytest.mark.parametrize("case", CASES)
def test_the_page_has_the_table_of_the_record(case):
    record = json.loads((ROOT / "benchmarks/results" / FILES[case]).read_text())
    assert list(record["rows"]) == list(CASES[case].rows)
    assert table(record["rows"]) in (ROOT / "docs/own_networks.md").read_text()


def ahead(case, row, other):
    """As README says it: by how many points over the same seeds, ± the error."""
    rows = json.loads((ROOT / "benchmarks/results" / FILES[case]).read_text())["rows"]
    pairs = zip(rows[row], rows[other], strict=True)
    gains = [100 * (a["test_accuracy"] - b["test_accuracy"]) for a, b in pairs]
    return f"{np.mean(gains):.1f} ± {np.std(gains, ddof=1) / np.sqrt(len(gains)):.1f}"


def test_readme_says_what_the_records_say():
    text = " ".join((ROOT / "README.md").read_text().split())
    faces, digits = (ahead(case, "tuned", "untuned") for case in ("faces", "digits"))
    assert f"tuning gains {faces} and {digits} points over no regularisation" in text
    faces, digits = (
        ahead(case, "p_z = p_x = 0.5, longer", "tuned, longer")
        for case in ("faces", "digits")
    )
    said = f"level with tuning, {faces} ahead on the first and {digits} on the second"
    assert said in text
