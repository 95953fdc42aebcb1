"""The records of benchmarks.own_network are what the page shows."""

import json
from pathlib import Path

import pytest

from benchmarks import one_setting
from benchmarks.own_network import CASES, table
from surrojax.baselines.rows import Mean

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


def test_readme_and_the_page_have_the_ten_problems():
    found = json.loads((ROOT / "benchmarks/results/one_setting.json").read_text())
    assert list(found["problems"]) == list(one_setting.PROBLEMS)
    page = (ROOT / "docs/own_networks.md").read_text()
    assert one_setting.table(found["problems"]) in page
    assert one_setting.summary(found["problems"]) in (ROOT / "README.md").read_text()


def test_the_page_says_what_the_ten_problems_say():
    problems = json.loads((ROOT / "benchmarks/results/one_setting.json").read_text())
    far = one_setting.behind(problems["problems"])
    page = " ".join((ROOT / "docs/own_networks.md").read_text().split())
    readme = " ".join((ROOT / "README.md").read_text().split())

    def told(row):
        mean = Mean.of([m.mean for m in far[row].values()])
        return f"{mean.mean:.1f} ± {mean.error:.1f}"

    def worst(row):
        return max(m.mean for m in far[row].values())

    none, half, most = (f"{ratio} held" for ratio in ("0", "0.5", "0.7"))
    assert (
        f"No dropout is {told(none)} points behind in the mean and {worst(none):.1f} "
        f"at worst, the textbook's 0.5 by {told(half)} and {worst(half):.1f}, a ratio "
        f"of 0.7 by {told(most)} and {worst(most):.0f}."
    ) in page
    assert (
        f"by the default is {told('tuned')} behind**, {worst('tuned'):.1f} at" in page
    )
    assert f"{told('0.2 held')} and {told('0.3 held')} behind. That is known" in page
    assert f"validation chooses, is {told('grid')} behind, for six times" in page
    assert f"A grid of these six is {told('grid')} behind" in readme
