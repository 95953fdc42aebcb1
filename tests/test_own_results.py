"""The records of benchmarks.own_network are what the page shows."""

import json
from pathlib import Path

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
