"""Folders of runs made by hand, and their reports read as a browser would."""

import json
from html.parser import HTMLParser

from markupsafe import Markup

from surrojax import report

TUNE = ["lambda_z", "p_z"]
CONFUSION = [[30, 10], [20, 40]]
POOLED = {
    "runs": 2,
    "mean": 0.61,
    "sd": 0.02,
    "pooled_accuracy": 0.62,
    "macro_f1": 0.6,
    "recall": {"happy": 0.75, "sad": None},
    "confusion_matrix": [[3, 1], [0, 0]],
}
"""Folds as one result, as a sweep writes them into folds.json."""

VOID = {"meta", "br", "hr", "img", "link", "input", "wbr"}


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, file):
        super().__init__()
        self.tables, self.headings, self.links, self.figures = {}, [], {}, []
        self.attributes, self.ids, self.open, self.words = [], [], [], []
        self.tags, self.commands, self.facts = [], [], []
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
        if tag in ("th", "td", "caption", "h1", "h2", "h3", "a", "pre", "dt", "dd"):
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
        elif tag == "dt":
            self._fact = self._text
        elif tag == "dd":
            self.facts.append((self._fact, self._text))

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
    """A run's small files, by hand.

    No untuned run may be called as the tuned one of another test: a report looks for
    its untuned network among the neighbours of the folder above, which are the folders
    of other tests.
    """
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


def put_own(folder, result=None, **config):
    """The same of a run of `surrojax.tune` without test data."""
    config = config_of(layers=["a", "b"], search="pso", optimizer="sgd") | config
    del config["dataset"]
    records = [{k: v for k, v in r.items() if k != "test"} for r in records_of()]
    tested = ("test_accuracy", "macro_f1", "recall", "confusion_matrix")
    result = {k: v for k, v in (result or result_of()).items() if k not in tested}
    manifest = {"source": "arrays", "counts": {"train": 120, "validation": 60}}
    return put(folder, result, records, config=config, manifest=manifest)


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


def sketch(name, draw, alt, caption):
    """A figure of the page that has its words and no drawing."""
    from surrojax.report.figures import Picture

    svg = Markup('<svg role="img" aria-label="{}"></svg>').format(alt)
    return Picture(svg, caption)
