"""The figures of the comparisons that sentences of the documentation repeat.

A claim is a sentence with places for figures, which are computed from the records in
results/ here. Where a claim fails, more seeds have been added since: the message has
the sentence as it should be.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from benchmarks.rows import RESULTS
from surrojax import filenames
from surrojax.baselines.folder import Folder
from surrojax.baselines.methods import OURS
from surrojax.baselines.rows import Mean, holm, rows_of
from surrojax.run.records import read_json

ROOT = Path(__file__).parent.parent
RESULTS_PAGE, README = "docs/results.md", "README.md"
NUMBERS = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
LENET, LONG, START = "compare_lenet", "longer", "longer_start"
WIDE, SHIFTED = "surrojax_wide", "compare_lenet_shift"


@cache
def accuracy(folder, method):
    """Test accuracy in percent by seed, of runs of one budget."""
    return {
        run["seed"]: 100 * run["test_accuracy"]
        for run in Folder(RESULTS / folder).runs()
        if (run["method"], run["budget"]) == (method, 1)
    }


@cache
def variant(study, name, figure="test_accuracy"):
    """The same of a variant of a study."""
    files = (RESULTS / study / name).glob(f"seed=*/{filenames.RESULT}")
    return {r["seed"]: 100 * r[figure] for r in map(read_json, files)}


def seeds(begin, end):
    return set(range(begin, end))


def ahead(ours, theirs, of=None):
    """The gain of the first over the second, on the seeds that both have."""
    both = sorted(s for s in ours.keys() & theirs.keys() if of is None or s in of)
    return Mean.of([ours[s] - theirs[s] for s in both])


def behind(method, of=None, over=OURS, folder=LENET):
    """How far a method is behind another one."""
    return ahead(accuracy(folder, over), accuracy(folder, method), of)


def mean(values):
    return Mean.of(list(values.values()))


def span(found):
    """Its interval, as prose has it."""
    low, high = found.interval
    return f"{low:.2f} to {high:.2f}"


def told(found):
    """A mean and its interval."""
    return f"{found.mean:.2f} ({span(found)})"


def plus(found):
    """A mean and its standard error."""
    return f"{found.mean:.2f} ± {found.error:.2f}"


def word(count):
    return NUMBERS[count]


def p_values(rows):
    """Corrected ones, of all rows that have several seeds."""
    return holm({row.method: row.gain.p_value for row in rows})


def last():
    """Of the tuners that trained to the end of their budget."""
    runs = [r for r in Folder(RESULTS / LENET).runs() if r["method"] == OURS]
    rows = rows_of([*runs, *Folder(RESULTS / f"{LENET}_last").runs()])
    return sorted(p_values([row for row in rows if row.method != OURS]).values())


def ends(name):
    """A hyper-parameter with which the runs of the comparison end."""
    runs = [r for r in Folder(RESULTS / LENET).runs() if r["method"] == OURS]
    found = [run["hyper"][name] for run in runs]
    return f"{min(found):.2f} to {max(found):.2f}"


def looks(method, counts, over=OURS):
    """What was seen of a method after so many seeds."""
    return {n: behind(method, seeds(0, n), over) for n in counts}


def of_the_comparison():
    start, dropout = behind(START), behind(LONG)
    wins = sum(
        theirs > accuracy(LENET, OURS)[s]
        for s, theirs in accuracy(LENET, START).items()
    )
    yield (
        RESULTS_PAGE,
        "it is {} behind surrojax over {} seeds ({}; ahead on {})",
        [f"{start.mean:.2f}", word(start.size), span(start), word(wins)],
    )
    yield (
        RESULTS_PAGE,
        "Five seeds had left that open ({:.2f}, {}), so {} more were run",
        [
            (first := behind(START, seeds(0, 5))).mean,
            span(first),
            word(start.size - 5),
        ],
    )
    level = behind(START, over=LONG)
    yield (
        RESULTS_PAGE,
        "It is level with the common dropout of 0.5 ({:.2f} behind, {})",
        [level.mean, span(level)],
    )
    seen = looks(LONG, (5, 8, 9, 10, 11))
    yield (
        RESULTS_PAGE,
        "{} after five ({}), {} after eight ({}), {} after nine ({}), {} after ten "
        "({}), {} after eleven ({}), {} after {};",
        [
            *(
                part
                for found in seen.values()
                for part in (f"{found.mean:.2f}", span(found))
            ),
            f"{dropout.mean:.2f}",
            word(dropout.size),
        ],
    )
    five = behind("tpe", seeds(0, 5))
    yield (
        RESULTS_PAGE,
        "TPE was {:.2f} behind after five ({});",
        [five.mean, span(five)],
    )
    added = {
        method: behind(method, seeds(5, 20))
        for method in (LONG, "tpe", "nevergrad_pso", "nevergrad_de", START)
    }
    yield (
        RESULTS_PAGE,
        "By the seeds alone that were added to five, dropout of 0.5 is {} behind ({}; "
        "{}), TPE {} ({}; {}), PSO {} ({}; {}), DE {} ({}; {}), the beginning held {} "
        "({}; {}).",
        [
            part
            for found in added.values()
            for part in (f"{found.mean:.2f}", span(found), word(found.size))
        ],
    )


def without_a_beginning():
    wide, beside = mean(accuracy(LENET, WIDE)), behind(WIDE)
    near = behind(LONG, over=WIDE)
    yield (
        RESULTS_PAGE,
        "It has {} % over {} seeds, {:.2f} less than with the chosen beginning ({}, so "
        "perhaps nothing), and is level with that beginning held for as long and with "
        "the common dropout of 0.5 ({:.2f} ahead, {}).",
        [
            plus(wide),
            word(wide.size),
            beside.mean,
            span(beside),
            near.mean,
            span(near),
        ],
    )
    yield (
        RESULTS_PAGE,
        "(DE after five {}; PSO after five {}, after six {}, after seven {}; TPE after "
        "six {})",
        [
            span(behind(method, seeds(0, n), WIDE))
            for method, n in (
                ("nevergrad_de", 5),
                ("nevergrad_pso", 5),
                ("nevergrad_pso", 6),
                ("nevergrad_pso", 7),
                ("tpe", 6),
            )
        ],
    )
    yield (
        RESULTS_PAGE,
        "By the three that were added to five, it is ahead of DE by {}, of PSO by {}, "
        "of TPE by {}:",
        [
            told(behind(method, seeds(5, 8), WIDE))
            for method in ("nevergrad_de", "nevergrad_pso", "tpe")
        ],
    )


def of_schedules():
    fresh, whole = behind("replay_last"), behind("replay")
    yield (
        RESULTS_PAGE,
        "(`replay_last`) has {:.2f} points more than the run that found it over {} "
        "seeds ({:.2f} to {:.2f}, so perhaps nothing)",
        [
            -fresh.mean,
            word(fresh.size),
            -fresh.interval[1],
            -fresh.interval[0],
        ],
    )
    yield (
        RESULTS_PAGE,
        "(`replay`) has {:.2f} fewer ({} seeds).",
        [whole.mean, word(whole.size)],
    )
    yield (
        RESULTS_PAGE,
        "All {} runs end with less dropout of features than the common 0.5: p_z {}, "
        "p_x {}, p_V {}, p_W {},",
        [word(len(accuracy(LENET, OURS))), *map(ends, ("p_z", "p_x", "p_V", "p_W"))],
    )


def with_shifts():
    tuned, held, light, begun = (
        variant("shift", f"{name}_long")
        for name in ("improved", "untuned", "light", "start")
    )
    gain, over_light, over_start = (
        ahead(tuned, other) for other in (held, light, begun)
    )
    by = [f"{tuned[s] - held[s]:.2f}" for s in sorted(tuned)]
    yield (
        RESULTS_PAGE,
        "by {}, {}, {}, {} and {}: by {:.2f} in the mean (standard error {:.2f}, 95 % "
        "interval {};",
        [*by, gain.mean, gain.error, span(gain)],
    )
    yield (
        RESULTS_PAGE,
        "held for as long, has {} %. On test the tuned runs are ahead of it on {} "
        "seeds of {}, by {:.2f} in the mean, which may be noise (standard error "
        "{:.2f}, {});",
        [
            plus(mean(light)),
            word(sum(tuned[s] > light[s] for s in tuned)),
            word(len(tuned)),
            over_light.mean,
            over_light.error,
            span(over_light),
        ],
    )
    yield (
        RESULTS_PAGE,
        "held, have {} %, {:.2f} more than the tuned runs (standard error {:.2f}, "
        "{:.2f} to {:.2f}; ahead on {} seeds of {})",
        [
            plus(mean(begun)),
            -over_start.mean,
            over_start.error,
            -over_start.interval[1],
            -over_start.interval[0],
            word(sum(begun[s] > tuned[s] for s in tuned)),
            word(len(tuned)),
        ],
    )
    above = [ahead(runs, dict.fromkeys(runs, 60.24)) for runs in (tuned, light, begun)]
    yield (
        RESULTS_PAGE,
        "**Tuned, all five seeds are above the paper's 60.24 %**: {}, {}, {}, {} and "
        "{}, by {:.2f} in the mean (standard error {:.2f}); so are all five of the "
        "light dropout, by {:.2f}, and of the beginning held, by {:.2f}.",
        [
            *(f"{tuned[s]:.2f}" for s in sorted(tuned)),
            above[0].mean,
            above[0].error,
            above[1].mean,
            above[2].mean,
        ],
    )
    short = behind("longer_untuned", folder=SHIFTED)
    yield (
        RESULTS_PAGE,
        "the untuned network is {:.2f} ahead over {} ({:.1f} to {:.1f}), and",
        [-short.mean, word(short.size), -short.interval[1], -short.interval[0]],
    )
    open_ = mean(accuracy(SHIFTED, WIDE))
    yield RESULTS_PAGE, "it has {} on the same two seeds", [plus(open_)]


def of_the_held_out_tenth():
    rates = [mean(variant("ablation", n)) for n in ("improved", "start_longer")]
    yield (
        RESULTS_PAGE,
        "({} held out against {};",
        [plus(found) for found in rates],
    )
    longer = [
        mean(variant("ablation", name)).mean
        for name in ("light_longer", "dropout_longer", "improved")
    ]
    yield README, "0.2 has {:.2f}, 0.5 {:.2f}, tuning {:.2f})", longer


def in_the_readme():
    gain = ahead(variant("shift", "improved_long"), variant("shift", "untuned_long"))
    yield README, "Tuning gains {:.1f} points over no regularisation there", [gain.mean]
    low, *_, high = last()
    yield README, "(p-values of {:.2f} to {:.2f})", [low, high]
    ours = mean(accuracy(LENET, OURS))
    yield README, "| {} ({} seeds) |", [plus(ours), ours.size]
    for method, before in (("tpe", "TPE "), ("pbt", "PBT of our own "), ("hord", "")):
        found = mean(accuracy(LENET, method))
        yield README, f"| {before}{{}} ({{}} seeds) |", [plus(found), found.size]


CLAIMS = [
    *of_the_comparison(),
    *without_a_beginning(),
    *of_schedules(),
    *with_shifts(),
    *of_the_held_out_tenth(),
    *in_the_readme(),
]


def plain(text):
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    ("page", "claim", "figures"), CLAIMS, ids=[f"{c[1][:40]}" for c in CLAIMS]
)
def test_a_sentence_has_the_figures_of_the_records(page, claim, figures):
    sentence = claim.format(*figures)
    assert sentence in plain((ROOT / page).read_text()), f"{page}: {sentence}"
