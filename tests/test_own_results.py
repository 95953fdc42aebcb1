"""The record of benchmarks.own_network is what the page shows."""

import json
from pathlib import Path

from benchmarks.own_network import ROWS, table

ROOT = Path(__file__).parent.parent


def test_the_page_has_the_table_of_the_record():
    record = json.loads((ROOT / "benchmarks/results/own_network.json").read_text())
    assert list(record["rows"]) == list(ROWS)
    assert table(record["rows"]) in (ROOT / "docs/own_networks.md").read_text()
