"""The records of benchmarks.own_network are what the page shows."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import one_setting, records
from benchmarks.one_setting import HELD
from benchmarks.own_network import CASES, table
from surrojax.baselines.rows import Mean, holm

ROOT = Path(__file__).parent.parent
FILES = {
    "digits": "own_network.json",
    "digits_adam": "own_adam.json",
    "faces": "own_faces.json",
    "residual": "own_residual.json",
}


def record(case):
    return records.read(ROOT / "benchmarks/results" / FILES[case])["rows"]


def plus(found):
    """A mean and its standard error, as the pages have them."""
    return f"{found.mean:.1f} ± {found.error:.1f}"


@pytest.mark.parametrize("case", CASES)
def test_the_page_has_the_table_of_the_record(case):
    assert list(record(case)) == list(CASES[case].rows)
    assert table(record(case)) in (ROOT / "docs/own_networks.md").read_text()


DROPOUT, AROUND = "p_z = p_x = 0.5", "tuned, from 0.5 and 0.1"


@pytest.mark.parametrize(
    ("case", "row", "other", "split", "sentence"),
    [
        ("faces", "tuned", DROPOUT, "test", "and is {} above the common"),
        ("faces", f"{DROPOUT}, longer", "tuned, longer", "test", "it is {} ahead of a"),
        ("faces", "tuned", AROUND, "test", "tuning ends {} below the default"),
        ("faces", "tuned", AROUND, "validation", "still is, by {} and"),
        ("digits", "tuned", AROUND, "validation", "and {} points, and level"),
        ("digits", "tuned, longer", "untuned, longer", "test", "are {} ahead of it at"),
        ("digits", "tuned", "untuned, longer", "test", "same cost, and {} at half"),
        ("digits", "untuned", "tuned, the paper's form", "test", "ends {} points"),
        ("digits_adam", AROUND, "tuned", "validation", "residual network ({} and"),
        ("residual", AROUND, "tuned", "validation", "and {} behind). Compare"),
        ("residual", "tuned", "untuned", "test", "tuning is {} points ahead of no"),
        ("residual", "p_z = 0.5", "tuned", "test", "and {} behind the common"),
    ],
)
def test_the_page_says_how_far_rows_are_apart(case, row, other, split, sentence):
    figures = [
        [100 * run[f"{split}_accuracy"] for run in record(case)[name]]
        for name in (row, other)
    ]
    told = sentence.format(plus(one_setting.paired(*figures)))
    assert told in words("docs/own_networks.md")


@pytest.fixture(scope="module")
def ten():
    return records.read(ROOT / "benchmarks/results/one_setting.json")["problems"]


def words(page):
    return " ".join((ROOT / page).read_text().split())


def test_readme_and_the_page_have_the_ten_problems(ten):
    assert list(ten) == list(one_setting.PROBLEMS)
    page = (ROOT / "docs/own_networks.md").read_text()
    assert one_setting.table(ten) in page
    for loss in one_setting.LOSSES:
        assert one_setting.loss_table(ten, loss) in page
    assert one_setting.summary(ten) in (ROOT / "README.md").read_text()


def test_the_pages_say_what_the_ten_problems_say(ten):
    far = one_setting.behind(ten)
    page, readme = words("docs/own_networks.md"), words("README.md")

    def told(row):
        return plus(Mean.of(one_setting.by_problem(far[row])))

    def worst(row):
        return f"{max(one_setting.by_problem(far[row])):.1f}"

    none, half, most = (f"{ratio} held" for ratio in ("0", "0.5", "0.7"))
    begun, drawn = one_setting.BEGINNING, one_setting.DRAWN
    assert (
        f"No dropout is {told(none)} points behind in the mean and {worst(none)} "
        f"at worst, the textbook's 0.5 by {told(half)} and {worst(half)}, a ratio "
        f"of 0.7 by {told(most)} and {float(worst(most)):.0f}."
    ) in page
    assert f"by the default is {told('tuned')} behind**, {worst('tuned')} at" in page
    assert f"near, {told('0.2 held')} and {told('0.3 held')} behind, which" in page
    assert f"validation chooses, is {told('grid')} behind, for six times" in page
    assert f"Its beginning held is {told(begun)} behind:" in page
    assert f"{worst('tuned')} behind the best instead of {worst(begun)}." in page
    assert f"tuning was {told(drawn)} behind (`first_setting" in page
    assert f"at worst {worst('tuned')} points behind, where nothing" in readme
    assert f"these six is {told('grid')} behind" in readme


def test_the_pages_say_what_the_search_adds_to_its_beginning(ten):
    page, readme = words("docs/own_networks.md"), words("README.md")
    gains = {}
    for problem, rows in ten.items():
        of = one_setting.accuracies(rows)
        gains[problem] = one_setting.paired(of["tuned"], of[one_setting.BEGINNING])
    below = {problem for problem, gain in gains.items() if gain.mean < 0}
    assert len(below) == 9 and "on nine of the ten it is as good as tuning" in readme
    names = "digits, wrong labels", "faces, shifted", "faces, a narrow layer"
    wrong, shifted, narrow = (gains[name] for name in names)
    assert (
        f"*faces, shifted* and *a narrow layer* it loses {-shifted.mean:.1f} ± "
        f"{shifted.error:.1f} and {-narrow.mean:.1f} ± {narrow.error:.1f} (p-values "
        f"of {shifted.p_value:.2f} and {narrow.p_value:.2f}, which"
    ) in page
    assert f"it is {plus(wrong)} ahead, beyond chance" in page
    assert one_setting.beyond_chance(ten, one_setting.BEGINNING) == (1, 0)
    assert f"on the tenth {wrong.mean:.1f} points behind it" in readme


def test_the_pages_say_what_a_schedule_that_was_found_is_worth(ten):
    page, readme = words("docs/own_networks.md"), words("README.md")
    again, last = one_setting.REPLAYED, one_setting.LAST
    far = {row: one_setting.behind(ten)[row] for row in (again, last)}
    behind = {row: one_setting.by_problem(far[row]) for row in far}

    def ahead(other):
        return {
            problem: one_setting.paired(*(one_setting.accuracies(rows)[r] for r in of))
            for of in [(again, other)]
            for problem, rows in ten.items()
        }

    of_tuned, of_begun = ahead("tuned"), ahead(one_setting.BEGINNING)
    mean = Mean.of([gain.mean for gain in of_tuned.values()])
    assert (
        f"that of the next seed is {plus(Mean.of(behind[again]))} behind the best, "
        f"{max(behind[again]):.1f} at worst, and {plus(mean)} ahead of the tuned run"
    ) in page
    wrong, shifted = "digits, wrong labels", "faces, shifted"
    assert f"It is {plus(of_begun[wrong])} ahead of the beginning with *wrong" in page
    assert f"*faces, shifted* {plus(of_tuned[shifted])} ahead of the tuned run" in page
    assert f"level with the beginning ({plus(of_begun[shifted])}): what" in page
    # What is said to be beyond chance, and nothing else, is so of ten.
    for gains, problem in ((of_begun, wrong), (of_tuned, shifted)):
        told = holm({name: gain.p_value for name, gain in gains.items()})
        assert [name for name, p in told.items() if p < 0.05] == [problem]
    worst = far[last][wrong]
    assert worst.mean == max(behind[last])
    assert (
        f"it is {plus(Mean.of(behind[last]))} behind, and {worst.mean:.1f} at worst, "
        "on *wrong labels*"
    ) in page
    low = sorted(one_setting.accuracies(ten[wrong])[last])[:3]
    assert f"({low[1]:.0f} and {low[0]:.0f} %)" in page and low[2] > 70
    assert "as near to the best as the tuned run" in readme and mean.mean > 0


def test_the_page_says_by_what_the_beginning_was_chosen(ten):
    page = words("docs/own_networks.md")

    def more(name):
        by_problem = [
            one_setting.paired(
                *(
                    [100 * run[name] for run in rows[row]]
                    for row in ("tuned", one_setting.DRAWN)
                )
            ).mean
            for rows in ten.values()
        ]
        return f"{plus(Mean.of(by_problem))} more"

    assert f"{more('validation_accuracy')} over the ten problems, which" in page
    assert f"looked at afterwards, it is {more('test_accuracy')}." in page


def test_the_page_says_where_tuning_loses(ten):
    page = words("docs/own_networks.md")
    of = one_setting.accuracies(ten["expressions, shifted"])
    none, little = (one_setting.paired(of[row], of["tuned"]) for row in HELD[:2])
    assert (
        f"it is {plus(none)} behind no dropout and {plus(little)} behind a ratio of "
        "0.1, beyond"
    ) in page
    assert [one_setting.beyond_chance(ten, row)[1] for row in HELD[:3]] == [1, 1, 0]
    far = one_setting.behind(ten)["tuned"]
    assert max(far, key=lambda problem: far[problem].mean) == "expressions, shifted"


def test_the_page_says_what_dropping_weights_may_do(ten):
    page = words("docs/own_networks.md")
    of = {problem: one_setting.accuracies(rows) for problem, rows in ten.items()}
    gains = {
        problem: one_setting.paired(a[one_setting.BEGINNING], a["0.1 held"]).mean
        for problem, a in of.items()
    }
    gain, most = Mean.of(list(gains.values())), "faces, a narrow layer"
    assert f"beginning is {plus(gain)} ahead of a ratio" in page
    assert gains[most] > gain.mean
    begun, best = (
        np.mean(of[most][row]) for row in (one_setting.BEGINNING, "0.1 held")
    )
    assert f"({begun:.1f} against {best:.1f} %)" in page


def test_the_page_says_what_the_cross_entropies_say(ten):
    page = words("docs/own_networks.md")
    begun = one_setting.BEGINNING

    def means(times, without=None):
        of = {
            row: {p: t for p, t in by_problem.items() if p != without}
            for row, by_problem in times.items()
        }
        return {r: f"{m:.2f}" for r, (m, _) in one_setting.mean_and_worst(of).items()}

    raw, after = (one_setting.times_the_best(ten, loss) for loss in one_setting.LOSSES)
    plain, scaled = means(raw), means(after)
    assert min(plain[row] for row in HELD) == plain["0.5 held"] > plain["tuned"]
    assert (
        f"its cross-entropy is {plain['tuned']} times that of the best of the six, "
        f"where the best single one of them, 0.5, has {plain['0.5 held']} and the "
        f"beginning {plain[begun]}."
    ) in page

    def lead(row):
        gains = [100 * np.log(raw[row][p] / raw["tuned"][p]) for p in ten]
        return f"{plus(Mean.of(gains))} %"

    assert f"over 0.5 is {lead('0.5 held')}, over 0.3 {lead('0.3 held')}: li" in page
    assert scaled["0.2 held"] == scaled["0.3 held"]
    assert (
        f"tuning has {scaled['tuned']} times the best's, ratios of 0.2 and 0.3 "
        f"{scaled['0.2 held']}, and the beginning {scaled[begun]}."
    ) in page
    right = means(after, without="digits, wrong labels")
    assert (
        f"without that problem the figures are {right['tuned']}, "
        f"{right['0.2 held']} and {right[begun]}.)"
    ) in page


def test_the_page_says_what_wrong_labels_do_to_a_temperature(ten):
    rows = [ten["digits, wrong labels"][name] for name in one_setting.ROWS]
    worse = [
        np.mean([run["scaled_cross_entropy"] - run["test_cross_entropy"] for run in of])
        > 0
        for of in rows
    ]
    assert "most rows get worse by it" in words("docs/own_networks.md")
    assert sum(worse) > len(worse) / 2
