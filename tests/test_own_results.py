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


@pytest.fixture
def lead(ten):
    """By problem, how far a row is ahead of another."""

    def of(row, other):
        return {
            problem: one_setting.paired(found[row], found[other])
            for problem, rows in ten.items()
            for found in [one_setting.accuracies(rows)]
        }

    return of


def test_the_pages_say_what_the_search_adds_to_its_beginning(ten, lead):
    page, readme = words("docs/own_networks.md"), words("README.md")
    gains = lead("tuned", one_setting.BEGINNING)
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


def over_all(gains):
    return Mean.of([gain.mean for gain in gains.values()])


def test_the_page_says_what_a_schedule_that_was_found_is_worth(ten, lead):
    page = words("docs/own_networks.md")
    of_tuned, of_begun = (
        lead(one_setting.REPLAYED, other) for other in ("tuned", one_setting.BEGINNING)
    )
    far = one_setting.by_problem(one_setting.behind(ten)[one_setting.REPLAYED])
    ahead = plus(Mean.of([-points for points in far]))
    wrong, shifted = "digits, wrong labels", "faces, shifted"
    narrow = of_begun["faces, a narrow layer"]
    assert (
        f"({ahead} ahead of the best in the mean, {max(far):.1f} behind at worst; "
        f"{plus(over_all(of_tuned))} ahead of the tuned run, which"
    ) in page
    assert (
        f"it has {plus(over_all(of_begun))} in the mean: {plus(of_begun[wrong])} with "
        f"*wrong labels*, {-narrow.mean:.1f} ± {narrow.error:.1f} fewer with *a"
    ) in page
    assert (
        f"it is {plus(of_tuned[shifted])} ahead of the tuned run and level with the "
        f"beginning ({plus(of_begun[shifted])}), so"
    ) in page
    told = {
        (problem, other): gain.p_value
        for other, gains in (("tuned", of_tuned), ("beginning", of_begun))
        for problem, gain in gains.items()
    }
    of_ten = [
        (problem, other)
        for other in ("tuned", "beginning")
        for problem, p in holm(
            {n: p for (n, o), p in told.items() if o == other}
        ).items()
        if p < 0.05
    ]
    assert of_ten == [(shifted, "tuned"), (wrong, "beginning")]
    assert all(0.04 < holm(told)[which] < 0.08 for which in of_ten)


def test_the_pages_say_what_its_last_setting_is_worth(ten, lead):
    page, readme = words("docs/own_networks.md"), words("README.md")
    behind = lead("tuned", one_setting.LAST)
    assert all(gain.mean > 0 for gain in behind.values())
    median = np.median([gain.mean for gain in behind.values()])
    assert f"on all ten, by {median:.1f} points in the median of problems" in page
    lost = [
        (problem, seed)
        for problem, rows in ten.items()
        for found in [one_setting.accuracies(rows)]
        for seed, tuned in enumerate(found["tuned"])
        if tuned - found[one_setting.LAST][seed] > 10
    ]
    seeds = [seed for _, seed in lost]
    assert (len(lost), max(map(seeds.count, seeds))) == (5, 4)
    assert "5 of its 50 trainings are more than ten points behind, four of" in page
    assert "on all ten, and in 5 of 50 trainings by more than ten points" in readme
    far = one_setting.by_problem(one_setting.behind(ten)[one_setting.LAST])
    assert f"the mean, {plus(Mean.of(far))} behind the best, and the worst, " in page
    assert f"and the worst, {max(far):.1f}." in page


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
