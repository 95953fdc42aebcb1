"""The report, read as a browser would: numbers, links, escaping, damaged folders."""

import base64
import json
import os
from html.parser import HTMLParser

import pytest
from conftest import as_user_at_once

from configs import common
from surrojax import report
from surrojax.errors import InputError
from surrojax.report.page import breakable
from surrojax.report.tables import binomial_error
from surrojax.run import sweep

TUNE = ["lambda_z", "p_z"]
CONFUSION = [[30, 10], [20, 40]]
VOID = {"meta", "br", "hr", "img", "link", "input", "wbr"}


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, file):
        super().__init__()
        self.tables, self.headings, self.links, self.figures = {}, [], {}, []
        self.attributes, self.ids, self.open, self.words = [], [], [], []
        self.tags, self.commands = [], []
        self._rows = self._text = None
        self.source = file.read_text()
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.attributes += [(tag, *pair) for pair in attrs.items()]
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag == "svg":
            self.figures.append(attrs["aria-label"])
        if tag in ("th", "td", "caption", "h1", "h2", "h3", "a", "pre"):
            self._text = ""
            self._href = attrs.get("href")

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("th", "td"):
            self._rows[-1].append(self._text)
        elif tag == "caption":
            self._caption = self._text
        elif tag == "table":
            self.tables[self._caption] = self._rows
        elif tag in ("h1", "h2", "h3"):
            self.headings.append((tag, self._text))
        elif tag == "a":
            self.links[self._text] = self._href
        elif tag == "pre":
            self.commands.append(self._text)

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if self._text is not None:
            self._text += data

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def column(self, caption, head):
        """`{row: cell}` of a table's column."""
        names, *rows = self.tables[caption]
        return {row[0]: row[names.index(head)] for row in rows}


def config_of(**changes):
    config = {
        "network": "lenet",
        "dataset": {"name": "faces", "fold": 0},
        "max_iterations": 200,
        "iterations_per_round": 100,
        "replicas": 1,
        "seed": 0,
        "search": {"optimizer": "pso", "population": 3},
        "tune": TUNE,
    }
    return config | changes


def result_of(**changes):
    result = {
        "test_accuracy": 0.7,
        "validation_accuracy": 0.65,
        "train_accuracy": 0.9,
        "macro_f1": 0.69,
        "recall": {"happy": 0.75, "sad": 2 / 3},
        "confusion_matrix": CONFUSION,
        "best_round": {"round": 1},
        "rounds": 2,
        "original_steps": 300,
        "surrogate_steps": 800,
        "seconds": 120.0,
    }
    return result | changes


def records_of(tuned=True):
    candidates = [
        {"score": 0.1 * i, "hyper": {"lambda_z": 10.0**-i, "p_z": p}}
        for i, p in enumerate((0.3, 0.1, 0.2), start=1)
    ]
    return [
        {
            "round": n,
            "step": 100 * n,
            "hyper": {"lambda_z": 1e-5 * n if tuned else 0.0, "p_z": 0.123456789 * n},
            "original": {"validation_accuracy": 0.5 + 0.05 * n},
            "test": {"original": {"accuracy": 0.6 + 0.05 * n}},
            "seconds": 60.0,
        }
        | ({"candidates": candidates} if tuned else {})
        for n in (1, 2)
    ]


def put(folder, result=True, records=None, command=(), config=None, **more):
    """A run's small files, by hand."""
    config = config or config_of()
    folder.mkdir(parents=True)
    description = {
        "command": list(command),
        "seed": config["seed"],
        "config": config,
        "data": {"fingerprint": "f"},
        "classes": ["happy", "sad"],
        "multiply_accumulates": {"original": 400, "surrogate": 100},
        "versions": {"jax": "0.10.2"},
        "device": "cpu",
        "manifest": {"source": "drawn", "faults": {"constant_images": 12}},
    }
    (folder / "config.json").write_text(json.dumps(description | more))
    records = records_of(bool(config["tune"])) if records is None else records
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "metrics.jsonl").write_text(lines)
    if result:
        outcome = result_of() if result is True else result
        (folder / "result.json").write_text(json.dumps(outcome))
    return folder


def page_of(folder):
    return Page(report.write(folder))


def assert_sound(page):
    """One file that reads nothing else, with headings in order."""
    for tag, name, value in page.attributes:
        assert tag not in ("script", "link", "iframe", "object") and name != "src"
        assert not name.startswith("on")
        if name == "href" and tag != "a":
            assert value.startswith(("#", "data:image/png;base64,"))
        if name == "style":
            assert "url(" not in value
    assert "@import" not in page.source and "url(http" not in page.source
    assert len(page.ids) == len(set(page.ids))
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")
    assert all(attrs.get("role") == "img" for tag, attrs in page.tags if tag == "svg")
    assert all(page.figures)


def test_the_report_of_a_run(tmp_path):
    command = ["launch.py", "--config=configs/demo.py", "--workdir=runs/a"]
    page = page_of(put(tmp_path / "a", command=command))
    assert_sound(page)
    assert page.headings[0] == ("h1", "lenet on faces")
    assert "unfinished" not in page.text
    assert "Test figures are reported and choose nothing" in page.text
    found = page.column("The network after the last round", "this run")
    # 70 % of 100 samples: sqrt(0.7 * 0.3 / 100) is 4.58 %.
    assert found["test accuracy [%]"] == "70.00 ± 4.58"
    assert found["validation accuracy [%]"] == "65.00"
    assert found["training accuracy [%]"] == "90.00"
    assert found["macro-F1 on test [%]"] == "69.00"
    assert page.tables["Recall by class"][1:] == [
        # 30 of 40 and 40 of 60 by Wilson's formula, worked out by hand.
        ["happy", "40", "75.00 [59.81, 85.81]"],
        ["sad", "60", "66.67 [54.06, 77.27]"],
    ]
    cost = page.column("What it took", "this run")
    # 300 steps and 800 of a quarter each, over a training of 200 steps.
    assert cost["cost in trainings of the network"] == "2.5"
    assert cost["time of all rounds"] == "2.0 min"
    faults = page.tables["Faults of the database, counted and never mended"]
    assert faults == [["constant images", "12"]]
    assert page.tables["What was read"] == [["Source", "drawn"]]
    assert ["jax", "0.10.2"] in page.tables["Versions and device"]
    assert ["search.population", "3"] in page.tables["The resolved config"]
    assert len(page.figures) == 5


def test_the_schedule_is_there_in_numbers_and_as_a_file(tmp_path):
    page = page_of(put(tmp_path / "a"))
    rows = page.tables["The schedule by round"]
    assert rows[0][:4] == ["round", "step", "lambda_z", "p_z"]
    assert rows[2] == ["2", "200", "2e-05", "0.247", "60.00", "70.00"]
    head, data = page.links["The schedule as CSV"].split(",")
    assert head == "data:text/csv;charset=utf-8;base64"
    lines = base64.b64decode(data).decode().splitlines()
    assert lines == [
        "round,step,lambda_z,p_z",
        "1,100,1e-05,0.123456789",
        "2,200,2e-05,0.246913578",
    ]


def test_importance_is_told_in_numbers(tmp_path):
    page = page_of(put(tmp_path / "a"))
    # In both rounds lambda_z falls as the score rises; p_z is in the order 3 1 2.
    [table] = [rows for name, rows in page.tables.items() if "Importance" in name]
    assert table[1:] == [["lambda_z", "-1.00"], ["p_z", "-0.50"]]


def test_names_may_go_on_in_the_next_line_and_numbers_may_not():
    assert breakable("search.optimizer=pso,a=0.5") == (
        "search.<wbr>optimizer=<wbr>pso,<wbr>a=<wbr>0.5"
    )
    assert breakable("12,345.67") == "12,345.67"
    assert breakable("<b>=1") == "&lt;b&gt;=<wbr>1"


def test_an_unfinished_run_says_so(tmp_path):
    folder = put(tmp_path / "a", result=False, records=records_of()[:1])
    page = page_of(folder)
    assert_sound(page)
    assert "This run is unfinished: 100 of 200 steps are done." in page.text
    assert "The network after the last round" not in page.tables
    assert "The schedule by round" in page.tables


def test_a_run_that_goes_on_after_its_result_is_unfinished(tmp_path):
    page = page_of(put(tmp_path / "a", result=result_of(rounds=1)))
    assert "This run is unfinished: 200 of 200 steps are done." in page.text


def test_a_run_without_a_round_has_no_page_yet(tmp_path):
    folder = put(tmp_path / "a", result=False, records=[])
    with pytest.raises(InputError, match="a: the run has finished no round yet; let"):
        report.write(folder)
    done = as_user_at_once("-m", "surrojax.report", str(folder))
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "report.html").exists()
    page = page_of(tmp_path)
    assert_sound(page)
    assert page.column("Each run, with its own report", "test [%]") == {
        "a": "unfinished: 0 of 200 steps"
    }
    assert not page.links and not (folder / "report.html").exists()


def test_the_recall_of_none_of_many_is_not_certain(tmp_path):
    none = result_of(
        recall={"happy": 0.0, "sad": None}, confusion_matrix=[[0, 55], [0, 0]]
    )
    page = page_of(put(tmp_path / "a", result=none))
    # Wilson: 1.96^2 / (55 + 1.96^2) = 6.53 %.
    assert page.tables["Recall by class"][1:] == [
        ["happy", "55", "0.00 [0.00, 6.53]"],
        ["sad", "0", "–"],
    ]


def test_what_was_read_is_told_in_words_and_without_what_is_empty(tmp_path):
    manifest = {
        "source": "fer2013.tar.gz",
        "sha256": {"fer2013.tar.gz": "c6f4"},
        "splits": {
            name: {"images": n, "sequences": n, "subjects": 0}
            for name, n in (("train", 28709), ("test", 3589))
        },
        "classes": {name: {"happy": 2, "sad": 1} for name in ("train", "test")},
        "left_out": {},
        "faults": {"duplicate_groups_with_different_labels": 57, "percent": 8.7},
        "notes": [],
        "aligned": False,
        "duplicates": {"within": {"train": 1236}, "test_in_train": 0},
    }
    page = page_of(put(tmp_path / "a", manifest=manifest))
    tables = list(page.tables)
    begin = tables.index("What was read")
    assert tables[begin : begin + 6] == [
        *("What was read", "SHA-256", "Splits", "Samples by class"),
        "Faults of the database, counted and never mended",
        "Samples whose pixels occur before, counted and never removed",
    ]
    what, digest, splits, classes, faults, duplicates = (
        page.tables[name] for name in tables[begin : begin + 6]
    )
    assert what == [["Source", "fer2013.tar.gz"], ["Aligned", "no"]]
    assert digest == [["fer2013.tar.gz", "c6f4"]]
    assert splits == [["", "images"], ["train", "28,709"], ["test", "3,589"]]
    assert classes[1] == ["train", "2", "1"]
    assert faults[0] == ["duplicate groups with different labels", "57"]
    assert duplicates == [["within train", "1,236"], ["test in train", "0"]]


def test_an_error_is_told_where_it_can_be(tmp_path):
    for correct, samples, error in ((7, 10, 0.1449), (10, 10, None), (0, 9, None)):
        found = binomial_error(correct / samples, samples)
        assert found == (error and pytest.approx(error, abs=1e-4))
    assert binomial_error(0.0, 0) is None


@pytest.mark.parametrize(
    ("sequences", "aligned", "told"),
    [
        (40, False, [["Images", "40"], ["Aligned", "no"]]),
        (
            10,
            True,
            [
                *(["Frames", "40"], ["Sequences", "10"]),
                *(["Aligned", "yes"], ["No face found", "0"]),
            ],
        ),
    ],
)
def test_sequences_and_faces_are_told_where_there_are_such(
    tmp_path, sequences, aligned, told
):
    manifest = {"frames": 40, "sequences": sequences}
    manifest |= {"aligned": aligned, "no_face_found": 0}
    page = page_of(put(tmp_path / "a", manifest=manifest))
    assert page.tables["What was read"] == told


def test_subjects_and_sequences_are_told_where_they_are_known(tmp_path):
    both = {"source": {"faults": {"rows": 3}, "subjects": 0}, "target": {"rows": 4}}
    splits = {
        name: {"images": 30, "sequences": 10, "subjects": 4} for name in ("a", "b")
    }
    manifest = both | {"splits": splits, "subjects": {"a": 4, "b": 4}}
    page = page_of(put(tmp_path / "a", manifest=manifest))
    assert page.tables["Splits"][:2] == [
        ["", "images", "sequences", "subjects"],
        ["a", "30", "10", "4"],
    ]
    assert page.tables["Target: what was read"] == [["Rows", "4"]]
    faults = "Source: Faults of the database, counted and never mended"
    assert page.tables[faults] == [["rows", "3"]]
    assert "Subjects" not in page.tables and "Source: what was read" not in page.tables


@pytest.mark.parametrize(
    ("objective", "told"),
    [
        ("accuracy", "more is better: validation accuracy, from 0 to 1, less kappa"),
        ("cross_entropy", "more is better: minus the validation cross-entropy, less"),
    ],
)
def test_the_score_is_explained_by_the_objective(tmp_path, objective, told):
    page = page_of(put(tmp_path / "a", config=config_of(objective=objective)))
    assert told in page.text and "(eq. 11" in page.text


def test_the_rounds_named_for_the_fidelity_are_of_the_run(tmp_path):
    for number, rounds in ((1, "1"), (3, "1,3"), (30, "1,10")):
        record = records_of()[0]
        records = [record | {"round": n} for n in range(1, number + 1)]
        folder = put(tmp_path / str(number), records=records, result=False)
        assert f"--config.fidelity.rounds={rounds} measures" in page_of(folder).text


def test_a_line_that_is_being_written_is_no_record(tmp_path):
    folder = put(tmp_path / "a", result=False, records=records_of()[:1])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"round": 2, "st')
    assert "100 of 200 steps" in page_of(folder).text


def test_the_untuned_neighbour_stands_beside_it(tmp_path):
    other = result_of(test_accuracy=0.6, original_steps=200, surrogate_steps=0)
    put(tmp_path / "untuned", result=other, config=config_of(tune=[]))
    page = page_of(put(tmp_path / "tuned"))
    [row] = [
        row
        for row in page.tables["The network after the last round"]
        if row[0] == "test accuracy [%]"
    ]
    assert row == ["test accuracy [%]", "70.00 ± 4.58", "60.00 ± 4.90", "+10.00"]
    assert "+10.00 points" in page.text
    cost = page.column("What it took", "untuned")
    assert cost["cost in trainings of the network"] == "1"


def test_a_seed_is_compared_with_the_same_seed_of_the_untuned(tmp_path):
    for seed, accuracy in ((0, 0.1), (1, 0.6)):
        put(
            tmp_path / f"tune=none/seed={seed}",
            result=result_of(test_accuracy=accuracy),
            config=config_of(tune=[], seed=seed),
        )
    page = page_of(put(tmp_path / "tune=p_z/seed=1", config=config_of(seed=1)))
    assert "60.00 ± 4.90" in page.text


@pytest.mark.parametrize(
    "different",
    [{"max_iterations": 300}, {"seed": 1}, {"dataset": {"name": "faces", "fold": 1}}],
)
def test_another_network_is_not_compared_with(tmp_path, different):
    put(tmp_path / "b", config=config_of(tune=[], **different))
    command = ["launch.py", "--config=c.py", "--workdir", "runs/a", "--sweep=seed=0,1"]
    page = page_of(put(tmp_path / "a", command=command))
    assert "No untuned network is there to compare with" in page.text
    assert page.commands[0].split() == [
        *("python", "launch.py", "\\", "--config=c.py", "\\", "--config.seed=0", "\\"),
        *("'--config.tune=()'", "\\", f"--workdir={tmp_path}/a,tune=none"),
    ]


def test_one_run_of_several_has_a_command_of_its_own(tmp_path):
    command = ["launch.py", "--config=c.py", "--sweep", "tune=p_z,()", "--workdir=runs"]
    folder = tmp_path / "dataset.fold=3,tune=p_z"
    fold = {"name": "faces", "fold": 3}
    page = page_of(
        put(folder, command=command, config=config_of(dataset=fold, tune=["p_z"]))
    )
    assert page.commands[2].split() == [
        *(
            "python",
            "launch.py",
            "\\",
            "--config=c.py",
            "\\",
            "--config.tune=p_z",
            "\\",
        ),
        *("--config.dataset.fold=3", "\\", f"--workdir={folder}"),
    ]
    alone = put(tmp_path / "alone", command=["launch.py", "--config=c.py"])
    assert "This one alone" not in page_of(alone).text


def test_whatever_comes_from_files_is_escaped(tmp_path):
    evil = '<script>alert("x")</script>&amp;$\\frac$'
    recall = {evil: 0.75, "sad": 0.5}
    folder = put(
        tmp_path / evil.replace("/", "_"),
        result=result_of(recall=recall),
        command=["launch.py", f"--config={evil}"],
        config=config_of(dataset={"name": evil, "fold": 0}),
        device=evil,
        manifest={evil: {evil: evil}},
    )
    page = page_of(folder)
    assert_sound(page)
    assert page.source.count("<script") == 0
    assert page.headings[0] == ("h1", f"lenet on {evil}")
    assert page.tables["Recall by class"][1][0] == evil
    assert ["device", evil] in page.tables["Versions and device"]
    assert any(evil in command for command in page.commands)
    assert_sound(page_of(tmp_path))


def test_the_report_of_a_sweep(tmp_path):
    for seed, tests in ((0, (0.50, 0.60)), (1, (0.52, 0.64))):
        for tune, test in zip(([], TUNE), tests, strict=True):
            name = f"tune={'+'.join(tune) or 'none'},seed={seed}"
            result = result_of(test_accuracy=test)
            put(tmp_path / name, result=result, config=config_of(tune=tune, seed=seed))
    page = page_of(tmp_path)
    assert_sound(page)
    table = page.tables["Means over the runs of each setting"]
    gain = "gain over tune=none [points]"
    assert gain in table[0]
    rows = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    assert [row["setting"] for row in rows] == ["tune=none", "tune=lambda_z+p_z"]
    # Half the difference of two is the standard error of their mean.
    assert [row["test [%]"] for row in rows] == ["51.00 ± 1.00", "62.00 ± 2.00"]
    assert rows[1][gain] == "+11.00 ± 1.00"
    assert [row["runs"] for row in rows] == ["2", "2"]
    took = page.column("What all runs of a setting took", "in trainings of the network")
    assert took == {"tune=none": "5", "tune=lambda_z+p_z": "5"}
    link = page.links["tune=lambda_z+p_z,seed=1"]
    assert link == "tune%3Dlambda_z%2Bp_z%2Cseed%3D1/report.html"
    of_point = Page(tmp_path / "tune=lambda_z+p_z,seed=1" / "report.html")
    assert "+12.00 points" in of_point.text
    assert page.figures == [
        "Accuracy by step; validation after the last round: tune=none 60.00 %, "
        "tune=lambda_z+p_z 60.00 %"
    ]
    assert "Test figures are reported and choose nothing" in page.text


def sweep_of(folder, *optimizers):
    """A sweep of PSO and DE, whose sweep.csv is in the order of its command."""
    rows = ["search.optimizer,tune,test_accuracy"]
    for optimizer in optimizers:
        for tune in (TUNE, []):
            name = f"search.optimizer={optimizer},tune={'+'.join(tune) or 'none'}"
            put(folder / name, config=config_of(tune=tune))
            rows.append(f'{optimizer},"{tuple(tune)}",0.7')
    (folder / "sweep.csv").write_text("\n".join(rows))
    return page_of(folder).tables["Means over the runs of each setting"]


def test_settings_are_in_the_order_of_the_sweeps_command(tmp_path):
    head, *rows = sweep_of(tmp_path / "pso", "pso", "de")
    names = [
        f"search.optimizer={optimizer},tune={tune}"
        for optimizer in ("pso", "de")
        for tune in ("lambda_z+p_z", "none")
    ]
    assert [row[0] for row in rows] == names
    assert f"gain over {names[0]} [points]" in head
    head, *rows = sweep_of(tmp_path / "de", "de", "pso")
    assert [row[0] for row in rows] == [*names[2:], *names[:2]]
    assert f"gain over {names[2]} [points]" in head


def test_gains_are_over_the_first_setting_that_has_finished(tmp_path):
    put(tmp_path / "seed=0,kappa=1", result=False)
    put(tmp_path / "seed=0,kappa=2")
    put(tmp_path / "seed=0,kappa=3", result=result_of(test_accuracy=0.8))
    rows = [f"0,{kappa},0.7" for kappa in (1, 2, 3)]
    (tmp_path / "sweep.csv").write_text("\n".join(["seed,kappa,test_accuracy", *rows]))
    head, *rows = page_of(tmp_path).tables["Means over the runs of each setting"]
    at = head.index("gain over kappa=2 [points]")
    assert [row[at] for row in rows] == ["–", "", "+10.00"]


def test_folds_are_shown_pooled(tmp_path):
    for fold in (0, 1):
        dataset = {"name": "faces", "fold": fold}
        put(tmp_path / f"dataset.fold={fold}", config=config_of(dataset=dataset))
    pooled = {
        "runs": 2,
        "mean": 0.61,
        "sd": 0.02,
        "pooled_accuracy": 0.62,
        "macro_f1": 0.6,
        "recall": {"happy": 0.75, "sad": None},
        "confusion_matrix": [[3, 1], [0, 0]],
    }
    (tmp_path / "folds.json").write_text(json.dumps({"all": pooled}))
    page = page_of(tmp_path)
    assert_sound(page)
    assert page.tables["Folds as one result"][1] == [
        *("all", "2", "61.00", "2.00", "62.00", "60.00")
    ]
    rows = page.tables["Recall by class, all folds"]
    assert rows[1:] == [["happy", "4", "75.00"], ["sad", "0", "–"]]
    assert ("h3", "all") in page.headings


def test_failed_damaged_and_unfinished_points_are_named(tmp_path):
    put(tmp_path / "seed=0")
    put(tmp_path / "seed=1", result=False)
    (put(tmp_path / "seed=2") / "result.json").write_text("{")
    table = "seed,test_accuracy,validation_accuracy\n0,0.7,0.6\n3,failed\n"
    (tmp_path / "sweep.csv").write_text(table)
    page = page_of(tmp_path)
    assert "1 of the last sweep's runs failed: seed=3" in page.text
    assert "seed=2/result.json: cannot be read" in page.text
    found = page.column("Each run, with its own report", "test [%]")
    assert found == {
        "seed=0": "70.00 ± 4.58",
        "seed=1": "unfinished: 200 of 200 steps",
    }


def test_reports_of_points_are_made_anew_where_they_are_old(tmp_path):
    folder = put(tmp_path / "tune=p_z")
    report.write(tmp_path)
    page = folder / "report.html"
    page.write_text("mine")
    report.write(tmp_path)
    assert page.read_text() == "mine"
    result = put(tmp_path / "tune=none", config=config_of(tune=[])) / "result.json"
    later = page.stat().st_mtime + 10
    os.utime(result, (later, later))
    report.write(tmp_path)
    assert "untuned" in page.read_text() and "gain [points]" in page.read_text()
    page.write_text("mine")
    os.utime(page, (later + 10, later + 10))
    report.write(tmp_path, anew=True)
    assert page.read_text() != "mine"


def test_a_sweep_writes_its_report_by_itself(monkeypatch, tmp_path):
    def train(config, folder, command, quiet):
        put(folder, config=config_of(seed=config.seed), command=command)
        return result_of()

    monkeypatch.setattr(sweep, "train", train)
    sweep.run_sweep(
        common.get_config(),
        str(tmp_path),
        ["seed=0,1"],
        ["launch.py", "--sweep=seed=0,1"],
    )
    page = Page(tmp_path / "report.html")
    assert list(page.links) == ["seed=0", "seed=1"]
    assert page.commands == ["python launch.py \\\n    --sweep=seed=0,1"]
    for seed in (0, 1):
        assert (tmp_path / f"seed={seed}/report.html").exists()


def break_line(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join(["{", *lines[1:]]) + "\n")


def change(name, *path, to):
    """Puts a value at a place of a JSON file; of metrics.jsonl, into its line 2."""

    def do(folder):
        text = (folder / name).read_text()
        *others, last = text.splitlines() if name == "metrics.jsonl" else [text]
        tree = json.loads(last)
        place = tree
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        (folder / name).write_text("\n".join([*others, json.dumps(tree)]))

    return do


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").write_text("["), "config.json: cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), "config.network is missing"),
        (change("config.json", "config", "tune", to="p_z"), "config.tune .* no list"),
        (change("config.json", "config", "task", to="pretrain"), "a pre-training"),
        (change("config.json", "config", to=None), "config.network is missing"),
        (change("config.json", "config", "objective", to="f1"), "'f1' is none of"),
        (change("config.json", "manifest", "splits", to=[1]), "splits .* no dict"),
        (change("config.json", "manifest", "counts", to=3), "counts .* no dict"),
        (change("config.json", "versions", to="new"), "versions .* no dict"),
        (break_line, "metrics.jsonl: line 1: is no JSON"),
        (change("metrics.jsonl", "round", to=3), "line 2: not of round 2"),
        (change("metrics.jsonl", "seconds", to="1"), "line 2: seconds .* no float"),
        (change("metrics.jsonl", "hyper", to={"p": 1}), "line 2: .* hyper-parameters"),
        (change("metrics.jsonl", "hyper", "p_z", to=None), "line 2: p_z is missing"),
        (change("metrics.jsonl", "candidates", 0, "score", to="a"), "line 2: score"),
        (change("metrics.jsonl", "candidates", to=3), "candidates .* no list"),
        (change("result.json", "test_accuracy", to=None), "test_accuracy is missing"),
        (change("result.json", "confusion_matrix", to=[[1]]), "not 2 by 2"),
        (change("result.json", "confusion_matrix", 0, to=["1", 2]), "not 2 by 2"),
        (change("result.json", "recall", "sad", to="all"), "recall .* no float"),
        (change("result.json", "best_round", to=3), "best_round .* no dict"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage, message):
    folder = put(tmp_path / "a")
    damage(folder)
    with pytest.raises(InputError, match=message):
        report.write(folder)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        report.write(tmp_path / "none")
    with pytest.raises(InputError, match="neither a run nor a sweep"):
        report.write(tmp_path)
    (tmp_path / "sweep.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="sweep.csv: is no table of a sweep"):
        report.write(tmp_path)
    (tmp_path / "baselines.json").write_text("{}")
    with pytest.raises(InputError, match="surrojax.baselines --workdir"):
        report.write(tmp_path)


def test_the_command(tmp_path):
    folder = put(tmp_path / "a")
    done = as_user_at_once("-m", "surrojax.report", str(folder))
    assert done.returncode == 0 and done.stdout.strip() == f"{folder}/report.html"
    (folder / "config.json").unlink()
    failed = as_user_at_once("-m", "surrojax.report", str(folder))
    assert failed.returncode == 2
    [line] = failed.stderr.splitlines()
    assert line.startswith(f"surrojax.report: {folder}: holds neither a run")


def test_a_run_that_ended_early_says_why(tmp_path):
    ended = put(tmp_path / "a", result=result_of(stopped="time_budget"))
    assert "The run ended early: time budget." in page_of(ended).text
    whole = put(tmp_path / "b", result=result_of(stopped="max_iterations"))
    assert "ended early" not in page_of(whole).text


def test_a_sweep_that_fails_at_every_point_has_its_page(tmp_path):
    (tmp_path / "sweep.csv").write_text("seed,test_accuracy\n0,failed\n1,failed\n")
    page = page_of(tmp_path)
    assert_sound(page)
    assert "2 of the last sweep's runs failed: seed=0 seed=1" in page.text
    assert not page.tables


def test_a_table_of_folds_alone_has_its_page(tmp_path):
    (tmp_path / "cross_database.json").write_text("{}")
    page = page_of(tmp_path)
    assert_sound(page)
    assert ["0 finished" in page.text, page.tables] == [True, {}]
