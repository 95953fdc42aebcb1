"""Sentences of the documentation that repeat figures of the comparisons.

A claim is a sentence with places for figures, and a function that computes them from
the records in results/. Where one fails because runs were added since, the message has
the sentence as it should be.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rows import RESULTS, ROWS
from surrojax import filenames
from surrojax.baselines.folder import Folder
from surrojax.baselines.methods import OURS, start_row
from surrojax.baselines.rows import Mean, holm, rows_of
from surrojax.run.files import read_json
from surrojax.run.replay import read_schedule

ROOT = Path(__file__).parent.parent
NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve"),
)
LENET, LENET_SHIFT = "compare_lenet", "compare_lenet_shift"
FERPLUS, DRAWN = "compare_lenet_ferplus", "compare_lenet_drawn"
LONGER, START, WIDE = "longer", "longer_start", "surrojax_wide"
PRINTED, TALL = "paper/lenet_printed", "paper/lenet_tall"
SPLITS = "test", "validation", "train"
PAPER = 60.24
"""Percent, of all eight by PSO in the paper's Table 4."""

CLAIMS = []


def claim(sentence, page="docs/results.md"):
    """Registers a function that yields the figures of a sentence."""

    def register(figures):
        CLAIMS.append(pytest.param(page, sentence, figures, id=figures.__name__))
        return figures

    return register


@pytest.mark.parametrize(("page", "sentence", "figures"), CLAIMS)
def test_a_sentence_has_the_figures_of_the_records(page, sentence, figures):
    found = list(figures())
    assert sentence.count("{}") == len(found)
    told = (f"{f:.2f}" if isinstance(f, float) else f for f in found)
    as_it_should_be = sentence.format(*told)
    assert as_it_should_be in " ".join((ROOT / page).read_text().split())


@cache
def runs_of(method, folder=LENET):
    """Records of a comparison by seed, of the method's own cost."""
    return {
        run["seed"]: run
        for run in Folder(RESULTS / folder).runs()
        if (run["method"], run["budget"]) == (method, 1)
    }


def accuracy(method, folder=LENET, split="test"):
    """Accuracy on a split in percent, by seed."""
    runs = runs_of(method, folder).items()
    return {seed: 100 * run[f"{split}_accuracy"] for seed, run in runs}


@cache
def variant(study, name, split="test"):
    """The same of a variant in results/."""
    files = (RESULTS / study / name).glob(f"seed=*/{filenames.RESULT}")
    return {r["seed"]: 100 * r[f"{split}_accuracy"] for r in map(read_json, files)}


def gains(ours, theirs, of=None):
    """Of the first over the second, on each seed that both have, and that is asked."""
    both = sorted(ours.keys() & theirs.keys())
    return [ours[s] - theirs[s] for s in both if of is None or s in of]


def ahead(ours, theirs, of=None):
    return Mean.of(gains(ours, theirs, of))


def behind(method, of=None, over=OURS, folder=LENET):
    """How far a method of a comparison is behind another one."""
    return ahead(accuracy(over, folder), accuracy(method, folder), of)


def mean(values):
    return Mean.of(list(values.values()))


def span(found):
    """Its interval, as prose has it."""
    low, high = found.interval
    return f"{low:.2f} to {high:.2f}"


def told(found):
    """A mean and its interval, the bracket left open."""
    return f"{found.mean:.2f} ({span(found)}"


def plus(found):
    """A mean and its standard error."""
    return f"{found.mean:.2f} ± {found.error:.2f}"


def word(count):
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


@claim("it is {} behind surrojax over {} seeds ({}; ahead on {})")
def the_beginning_held():
    found = behind(START)
    wins = sum(gain < 0 for gain in gains(accuracy(OURS), accuracy(START)))
    return found.mean, word(found.size), span(found), word(wins)


@claim("That setting is level with the common dropout of 0.5 ({} behind, {})")
def the_beginning_held_beside_dropout():
    found = behind(START, over=LONGER)
    return found.mean, span(found)


@claim(
    "surrojax's lead over dropout of 0.5 was looked at after eight seeds ({}, {}), "
    "nine ({}, {}), ten ({}, {}) and eleven ({}, {});"
)
def looks_at_dropout():
    seen = [behind(LONGER, range(n)) for n in (8, 9, 10, 11)]
    assert [look.size for look in seen] == [8, 9, 10, 11]
    return [part for look in seen for part in (look.mean, span(look))]


@claim("over PSO was looked at after six ({}) and seven ({}), over TPE after six ({}).")
def looks_at_tuners():
    looks = ("nevergrad_pso", 6), ("nevergrad_pso", 7), ("tpe", 6)
    drawn = accuracy(WIDE, DRAWN)
    found = [ahead(drawn, accuracy(method), range(n)) for method, n in looks]
    assert [look.size for look in found] == [n for _, n in looks]
    return map(span, found)


@claim("It has {} % over {} seeds, {} less than with the chosen beginning ({}, so")
def without_a_beginning():
    found = behind(WIDE)
    own = mean(accuracy(WIDE))
    return plus(own), word(own.size), found.mean, span(found)


@claim(
    "drawn it had {} % on the same {} seeds (`results/compare_lenet_drawn`), {} more "
    "({}). Validation accuracy, which chose, is {} higher with the middle"
)
def without_a_beginning_and_drawn():
    before = accuracy(WIDE, DRAWN)
    found, own = ahead(before, accuracy(WIDE)), mean(before)
    chose = ahead(*(accuracy(WIDE, of, "validation") for of in (LENET, DRAWN)))
    return plus(own), word(own.size), found.mean, span(found), plus(chose)


@claim(
    "searches nothing: it has {} % over the same {} seeds, {} less than "
    "`surrojax_wide` ({}; ahead on {}), and is level with the chosen beginning held, "
    "which is {} ahead of it over these seeds ({}). In"
)
def without_a_beginning_beside_its_middle_held():
    held, wide = (accuracy(row) for row in (start_row(WIDE), WIDE))
    assert held.keys() == wide.keys()
    found, chosen = ahead(wide, held), ahead(accuracy(START), held)
    wins = sum(gain < 0 for gain in gains(wide, held))
    told = plus(mean(held)), word(found.size), found.mean, span(found), word(wins)
    return *told, chosen.mean, span(chosen)


@claim(
    "At the tall rate the seven values have {} to {} % on one seed each (validation {} "
    "to {}, training {} %), where none has {} ({}):"
)
def a_penalty_on_x_at_the_tall_rate():
    rows = [folder.name for folder in (RESULTS / TALL).glob("lambda_x=*")]
    assert len(rows) == 7
    test, validation, train = (
        sorted(variant(TALL, row, split)[0] for row in rows) for split in SPLITS
    )
    assert f"{train[0]:.0f}" == f"{train[-1]:.0f}"
    yield from (test[0], test[-1], validation[0], validation[-1], f"{train[0]:.0f}")
    yield from (plus(mean(variant(TALL, "baseline", of))) for of in SPLITS[:2])


@claim("train, {} % at the printed rate (training accuracy {} %), where the paper has")
def all_ratios_at_the_printed_rate():
    test, train = (mean(variant(PRINTED, "p=0.5", s)) for s in ("test", "train"))
    return plus(test), f"{train.mean:.0f}"


@claim(
    "of 0.5 they have {} at the printed rate ({} without; {} seeds each) and {} at the "
    "tall one ({}), where they help."
)
def all_coefficients_beside_all_ratios():
    without, beside, tall_without, tall = (
        mean(variant(rate, row))
        for rate in (PRINTED, TALL)
        for row in ("p=0.5", "both")
    )
    assert without.size == beside.size == tall_without.size == tall.size
    assert ahead(*(variant(TALL, row) for row in ("both", "p=0.5"))).interval[0] > 0
    yield from (plus(beside), plus(without), word(beside.size))
    yield from (plus(tall), plus(tall_without))


@claim("where the paper has 55.89, and {} at the tall one.")
def all_ratios_at_the_tall_rate():
    yield plus(mean(variant(TALL, "p=0.5")))


FOUR_OR_EIGHT = [
    f"{names}_{optimizer}"
    for names in ("ratios", "coefficients_ratios")
    for optimizer in ("pso", "de")
]
"""Rows of Table 4 that tune all ratios."""


@claim(
    "from around 0.5, end with {} % by PSO and {} by DE, *all eight* with {} and {} "
    "({} seeds each)"
)
def tuned_ratios_at_the_printed_rate():
    found = [mean(variant(PRINTED, row)) for row in FOUR_OR_EIGHT]
    [seeds] = {of.size for of in found}
    return [*map(plus, found), word(seeds)]


@claim(
    "end at ratios from {} to {}, and {} of the {} stay within 0.05 of where they end "
    "from round 12 on; with such ratios, the weights' included, LeNet under-fits "
    "(training accuracy {} to {} %)."
)
def where_tuned_ratios_end():
    ends, rounds, trained = [], [], []
    for row in FOUR_OR_EIGHT:
        trained += variant(PRINTED, row, "train").values()
        for file in (RESULTS / PRINTED / row).glob("seed=*/schedule.csv"):
            values = read_schedule(file).frame.filter(like="p_").to_numpy()
            ends.append(values[-1])
            away = np.abs(values - values[-1]).max(axis=1) >= 0.05
            rounds.append(int(np.flatnonzero(away).max(initial=-1)) + 2)
    yield from (np.min(ends), np.max(ends))
    yield from (word(sum(n <= 12 for n in rounds)), word(len(rounds)))
    yield from (f"{of(trained):.0f}" for of in (min, max))


@claim("In one run of 80,000 steps, all eight by PSO have {} % (training {} %).")
def all_eight_for_as_long_as_the_paper():
    row = "coefficients_ratios_pso_80k"
    test, train = (variant(PRINTED, row, split)[0] for split in ("test", "train"))
    return test, f"{train:.0f}"


@claim(
    "fixed at 1e-5 they have {} ({} without; the paper: 53.27), tuned by PSO {} and by "
    "DE {} (57.37, 56.34), and at the tall rate {}, {} and {} ({} without)."
)
def coefficients_alone():
    rows = ("lambda=1e-5", "baseline", "coefficients_pso", "coefficients_de")
    yield from (plus(mean(variant(PRINTED, row))) for row in rows)
    yield plus(mean(variant(TALL, "lambda=1e-5")))
    yield from (variant(TALL, f"coefficients_{of}")[0] for of in ("pso", "de"))
    yield plus(mean(variant(TALL, "baseline")))


@claim(
    "four ratios tuned have {} % by PSO and {} by DE, all eight {} and {}, on one seed "
    "each, where none has {}. They end at ratios from {} "
    "to {}, and LeNet under-fits here as well (training accuracy {} to {} %)."
)
def tuned_ratios_at_the_tall_rate():
    found, trained = (
        [variant(TALL, row, split)[0] for row in FOUR_OR_EIGHT]
        for split in ("test", "train")
    )
    yield from (*found, plus(mean(variant(TALL, "baseline"))))
    schedules = (RESULTS / TALL / row / "seed=0/schedule.csv" for row in FOUR_OR_EIGHT)
    ends = [read_schedule(file).frame.filter(like="p_")[-1:] for file in schedules]
    yield from (np.min(ends), np.max(ends))
    yield from (f"{of(trained):.0f}" for of in (min, max))


@claim(
    "Tuned, they leave 0.5 in the second round here too, by either search: PSO ends at "
    "{} and {} with {} % (validation {}), DE at {} and {} with {} % ({}), what the best"
)
def two_ratios_tuned_at_the_tall_rate():
    for row in ("p_z_p_x_pso", "p_z_p_x_de"):
        frame = read_schedule(RESULTS / TALL / row / "seed=0/schedule.csv").frame
        ratios = frame[["p_z", "p_x"]].to_numpy()
        assert (ratios[0] == 0.5).all() and (ratios[1] < 0.4).all()
        yield from map(float, ratios[-1])
        yield from (variant(TALL, row, split)[0] for split in SPLITS[:2])


@claim("Tuned there, DE ends at {} with {} %, PSO at {} with {}.")
def a_penalty_on_x_tuned_at_the_tall_rate():
    for row in ("lambda_x_de", "lambda_x_pso"):
        frame = read_schedule(RESULTS / TALL / row / "seed=0/schedule.csv").frame
        yield f"{frame['lambda_x'].iloc[-1]:.1e}"
        yield variant(TALL, row)[0]


@claim("about what it has without any ({}, {} seeds), and learns")
def without_any_penalty():
    found = mean(variant(PRINTED, "baseline"))
    return plus(found), word(found.size)


@claim("and with the common dropout of 0.5 ({} ahead, {}).")
def without_a_beginning_beside_dropout():
    found = behind(LONGER, over=WIDE)
    return found.mean, span(found)


@claim(
    "(`replay_last`) has {} points more than the run that found it over {} seeds ({}"
)
def replay_of_the_end():
    found = behind(OURS, over="replay_last")
    return found.mean, word(found.size), span(found)


@claim("(`replay`) has {} fewer ({} seeds).")
def replay_of_the_whole():
    found = behind("replay")
    return found.mean, word(found.size)


@claim(
    "All {} runs end with less dropout of features than the common 0.5: p_z {}, p_x "
    "{}, p_V {}, p_W {},"
)
def where_runs_end():
    ends = [run["hyper"] for run in runs_of(OURS).values()]
    assert all(max(end["p_z"], end["p_x"]) < 0.5 for end in ends)
    found = ([end[name] for end in ends] for name in ("p_z", "p_x", "p_V", "p_W"))
    return word(len(ends)), *(f"{min(of):.2f} to {max(of):.2f}" for of in found)


@claim(
    "Over {} seeds, planned when two had been run: - the tuned network is ahead of "
    "dropout of 0.5 on each, by {} in the mean ({}; on FER2013's own labels {}), on "
    "validation by {});"
)
def ferplus_beside_dropout():
    by = gains(accuracy(OURS, FERPLUS), accuracy(LONGER, FERPLUS))
    found = Mean.of(by)
    assert min(by) > 0
    tuned, dropout = (
        {s: 100 * run["validation_accuracy"] for s, run in runs_of(m, FERPLUS).items()}
        for m in (OURS, LONGER)
    )
    seen = told(ahead(tuned, dropout))
    return word(found.size), found.mean, span(found), behind(LONGER).mean, seen


@claim("where its search begins, held for as long, is behind by {}), TPE by {});")
def ferplus_beside_the_beginning_held_and_tpe():
    found = [behind(method, folder=FERPLUS) for method in (START, "tpe")]
    assert {one.size for one in found} == {len(accuracy(OURS, FERPLUS))}
    return map(told, found)


@claim(
    "each of these three intervals on test leaves out 0 when taken alone; corrected "
    "for their number the least p-value is {},"
)
def ferplus_with_less_certainty():
    rivals = {m: behind(m, folder=FERPLUS) for m in (LONGER, "tpe", START)}
    assert all(rival.interval[0] > 0 for rival in rivals.values())
    least = min(holm({m: rival.p_value for m, rival in rivals.items()}).values())
    assert least > 0.05
    return [f"{least:.3f}"]


@claim("end near where they do there, with p_z of {} and p_x of {}.")
def where_runs_on_ferplus_end():
    found = (
        [run["hyper"][name] for run in runs_of(OURS, FERPLUS).values()]
        for name in ("p_z", "p_x")
    )
    return [f"{min(of):.2f} to {max(of):.2f}" for of in found]


SHIFTED = "improved_long"


@claim(
    "is ahead on each of {} seeds at equal cost, by {}: by {} in the mean (standard "
    "error {}, 95 % interval {};"
)
def shifted_beside_no_regularisation():
    by = gains(variant("shift", SHIFTED), variant("shift", "untuned_long"))
    found = Mean.of(by)
    assert min(by) > 0
    listed = listed_of(by)
    return word(found.size), listed, found.mean, found.error, span(found)


@claim(
    "has {} %. On test the tuned runs are ahead of it on {} seeds of {}, by {} in the "
    "mean, which may be noise (standard error {}, {});"
)
def shifted_beside_a_light_dropout():
    light = variant("shift", "light_long")
    by = gains(variant("shift", SHIFTED), light)
    found, wins = Mean.of(by), sum(gain > 0 for gain in by)
    size = word(found.size)
    return plus(mean(light)), word(wins), size, found.mean, found.error, span(found)


@claim(
    "held, have {} %, {} more than the tuned runs (standard error {}, {}; ahead on {} "
    "seeds of {})"
)
def shifted_beside_the_beginning_held():
    begun = variant("shift", "start_long")
    by = gains(begun, variant("shift", SHIFTED))
    found, wins = Mean.of(by), sum(gain > 0 for gain in by)
    size = word(found.size)
    return plus(mean(begun)), found.mean, found.error, span(found), word(wins), size


@claim(
    "**Tuned, all {} seeds are above the paper's 60.24 %**: {}, by {} in the mean "
    "(standard error {}); so are all {} of the light dropout, by {}, and of the "
    "beginning held, by {}."
)
def shifted_beside_the_paper():
    tuned, light, begun = (
        variant("shift", name) for name in (SHIFTED, "light_long", "start_long")
    )
    assert all(min(runs.values()) > PAPER for runs in (tuned, light, begun))
    assert len(light) == len(begun)
    size, found = word(len(tuned)), mean(tuned)
    listed = listed_of([tuned[s] for s in sorted(tuned)])
    others = [mean(runs).mean - PAPER for runs in (light, begun)]
    return size, listed, found.mean - PAPER, found.error, word(len(light)), *others


LONG = "compare_lenet_shift_long"


@claim(
    "random search is behind on each of {} seeds**, by {} in the mean ({}; one seed "
    "had been seen when the other {} were planned). The best of the three settings "
    "that it can try has {} %, level with no regularisation ({} ahead, {})."
)
def random_search_on_shifted_images():
    random = accuracy("random", LONG)
    by = gains(accuracy(OURS, LONG), random)
    found, own = Mean.of(by), mean(random)
    assert min(by) > 0 and found.size == own.size
    plain = ahead(random, variant("shift", "untuned_long"))
    size = word(own.size), found.mean, span(found), word(own.size - 1)
    return *size, plus(own), plain.mean, span(plain)


@claim(
    "Optuna's TPE, which judges ten settings by trainings of 7,000 steps, has {} % "
    "over {} seeds, {} fewer than the tuned runs ({}) and {} fewer than those that are "
    "given no beginning either ({})"
)
def tpe_on_shifted_images():
    tpe = accuracy("tpe", LONG)
    tuned, wide = (behind("tpe", over=by, folder=LONG) for by in (OURS, WIDE))
    assert tuned.size == wide.size == len(tpe) > 1
    found = (part for of in (tuned, wide) for part in (of.mean, span(of)))
    return plus(mean(tpe)), word(len(tpe)), *found


@claim(
    "Optuna's TPE is behind on each of the {} seeds that were run, by {} ({})",
    "README.md",
)
def tpe_on_shifted_images_in_the_readme():
    found = behind("tpe", folder=LONG)
    assert min(gains(accuracy(OURS, LONG), accuracy("tpe", LONG))) > 0
    return word(found.size), found.mean, span(found)


@claim(
    "has {} %, {} fewer than from the beginning that was chosen for shifts ({}). It is "
    "ahead of random search on each of {} seeds, by {} in the mean ({}), and of no "
    "regularisation, by {} ({}), and level with the light dropout that was chosen by "
    "hand: {} ahead ({})."
)
def no_beginning_on_shifted_images():
    wide = accuracy(WIDE, LONG)
    begun = ahead(accuracy(OURS, LONG), wide)
    over = gains(wide, accuracy("random", LONG))
    random, size = Mean.of(over), word(len(wide))
    plain, light = (
        ahead(wide, variant("shift", name)) for name in ("untuned_long", "light_long")
    )
    assert min(over) > 0 and {begun.size, random.size, plain.size} == {len(wide)}
    found = (part for of in (random, plain, light) for part in (of.mean, span(of)))
    return (plus(mean(wide)), begun.mean, span(begun), size, *found)


@claim(
    "has {} %, {} fewer ({}), and on validation {} more: here, too, nothing can be "
    "told of the search itself. The {} seeds of both were planned beforehand. With its "
    "first setting drawn at random, as it had been before, it had {} % over {} seeds"
)
def where_that_search_begins_on_shifted_images():
    (wide, held), (wide_seen, held_seen) = (
        (accuracy(WIDE, LONG, split), accuracy(start_row(WIDE), LONG, split))
        for split in ("test", "validation")
    )
    by, drawn = ahead(wide, held), mean(accuracy(WIDE, f"{LONG}_drawn"))
    assert by.size == len(wide) == len(held) and by.interval[0] < 0
    more = ahead(held_seen, wide_seen).mean
    return (
        *(plus(mean(held)), by.mean, span(by), more, word(by.size)),
        *(plus(drawn), word(drawn.size)),
    )


@claim("given none, it has {} %.", "README.md")
def no_beginning_on_shifted_images_in_the_readme():
    return [plus(mean(accuracy(WIDE, LONG)))]


@claim("{} over random search for the same budget ({})", "README.md")
def random_search_on_shifted_images_in_the_readme():
    found = behind("random", folder=LONG)
    return f"{found.mean:.1f}", span(found)


@claim("the untuned network is {} ahead over {} ({}), and")
def shifted_in_short_runs():
    found = behind(OURS, over="longer_untuned", folder=LENET_SHIFT)
    low, high = found.interval
    return found.mean, word(found.size), f"{low:.1f} to {high:.1f}"


@claim("it has {} on the same {} seeds")
def shifted_in_short_runs_without_a_beginning():
    runs = accuracy(WIDE, LENET_SHIFT)
    assert runs.keys() == accuracy("longer_untuned", LENET_SHIFT).keys()
    return plus(mean(runs)), word(len(runs))


@claim(
    "every ratio has more than at the printed one, by {} (at a ratio of {}) to {} "
    "points (at {}), on one seed each. The best of them by validation ({}) is {}, "
    "whose {} % are {} above the best ratio of the paper, {};"
)
def ratios_at_the_tall_rate():
    held = {r.name.removeprefix("p_z=p_x="): r for r in ROWS if "p_z=p_x=" in r.name}
    printed, tall = (
        {ratio: row.runs(RESULTS, rate)[0] for ratio, row in held.items()}
        for rate in ("printed", "tall")
    )
    tests = {ratio: 100 * run["test_accuracy"] for ratio, run in tall.items()}
    more = {r: tests[r] - 100 * printed[r]["test_accuracy"] for r in tests}
    assert len(more) == 7 and min(more.values()) > 0
    least, most = (of(more, key=more.__getitem__) for of in (min, max))
    best = max(tall, key=lambda ratio: tall[ratio]["validation_accuracy"])
    seen = 100 * tall[best]["validation_accuracy"]
    paper = max(row.paper for row in held.values())
    return (
        *(f"{more[least]:.1f}", least, f"{more[most]:.1f}", most),
        *(seen, best, tests[best], tests[best] - paper, paper),
    )


@claim("too small to be told by two seeds ({} held out against {};")
def the_beginning_held_on_the_held_out_tenth():
    found = [variant("ablation", name) for name in ("improved", "start_longer")]
    assert [len(runs) for runs in found] == [2, 2]
    return [plus(mean(runs)) for runs in found]


@claim(
    "has {} % over {} seeds, {} more than the fixed 0.5 for the same cost ({})",
    "README.md",
)
def ferplus_in_the_readme():
    found, own = behind(LONGER, folder=FERPLUS), mean(accuracy(OURS, FERPLUS))
    assert found.size == own.size
    return plus(own), word(own.size), found.mean, span(found)


@claim("0.2 has {}, 0.5 {}, tuning {})", "README.md")
def dropout_on_the_held_out_tenth():
    names = "light_longer", "dropout_longer", "improved"
    return [mean(variant("ablation", name)).mean for name in names]


@claim("Tuning gains {} points over no regularisation there", "README.md")
def shifted_in_the_readme():
    found = ahead(variant("shift", SHIFTED), variant("shift", "untuned_long"))
    return [f"{found.mean:.1f}"]


def tenfold(method):
    """The one record of ten times the budget."""
    runs = [r for r in Folder(RESULTS / LENET).runs() if r["method"] == method]
    [run] = [run for run in runs if run["budget"] == 10]
    return run


@claim(
    "of {} whole trainings the one that validation chose ({} %) has {} % on test, {} "
    "more than surrojax with a tenth of the cost, and {} fewer than TPE itself with a "
    "tenth, whose choice has {} % on validation;"
)
def ten_times_the_budget():
    run = tenfold("tpe")
    test, once = 100 * run["test_accuracy"], runs_of("tpe")[run["seed"]]
    return (
        str(run["trainings"]),
        100 * run["validation_accuracy"],
        test,
        test - accuracy(OURS)[run["seed"]],
        100 * once["test_accuracy"] - test,
        100 * once["validation_accuracy"],
    )


@claim(
    "to TPE on one seed: {} %, {} more than surrojax there and {} fewer than TPE with "
    "a tenth",
    "README.md",
)
def ten_times_the_budget_in_the_readme():
    run = tenfold("tpe")
    test = 100 * run["test_accuracy"]
    seed = run["seed"]
    return test, test - accuracy(OURS)[seed], accuracy("tpe")[seed] - test


@claim("(p-values of {} to {})", "README.md")
def last_trainings_that_get_the_rest():
    runs = [*runs_of(OURS).values(), *Folder(RESULTS / f"{LENET}_last").runs()]
    rows = [row for row in rows_of(runs) if row.method != OURS]
    found = holm({row.method: row.gain.p_value for row in rows}).values()
    return min(found), max(found)


def listed_of(figures):
    """`1.98, 3.54 and 1.89`."""
    *others, last = (f"{figure:.2f}" for figure in figures)
    return f"{', '.join(others)} and {last}"
