"""Figures of a report: drawings inside a page, in its colours."""

import json
import re

import pytest
from matplotlib.figure import Figure
from reports import POOLED, Page, assert_sound, config_of, page_of, put, result_of

from surrojax.report import figures


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


def draw():
    """A figure with what refers to other parts: clipped lines, and marks."""
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot([1, 2, 1], marker="o", label="happy")
    axes.legend()
    return figure


def test_a_figure_is_drawn_alike_each_time():
    one, other = (figures.picture("one", draw, "", "").svg for _ in range(2))
    assert one == other


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A page with a figure alone."""
    file = tmp_path_factory.mktemp("drawn") / "page.html"
    file.write_text(figures.picture("one", draw, "alt", "").svg)
    return Page(file)


def test_references_in_a_drawing_are_to_its_own_parts(drawn):
    ids = [f"#{name}" for name in drawn.ids]
    marks = [v for _, name, v in drawn.attributes if name == "href"]
    clips = re.findall(r"url\((#[^)]*)\)", drawn.source)
    assert marks and clips and {*marks, *clips} <= set(ids)
    assert all(name.startswith("#one-") for name in ids)


def test_a_drawing_is_in_the_colours_of_the_page(drawn):
    assert figures.INK not in drawn.source and "currentColor" in drawn.source
    assert figures.PAGE not in drawn.source and "var(--page)" in drawn.source


def test_a_drawing_is_as_wide_and_as_high_as_it_was_made(drawn):
    [root] = [attrs for tag, attrs in drawn.tags if tag == "svg"]
    assert root["viewbox"].split()[2:] == [root["width"], root["height"]]
    assert float(root["width"]) > float(root["height"])
    assert (root["role"], root["aria-label"]) == ("img", "alt")


def test_a_drawing_has_no_style_sheet_and_its_text_stays_text(drawn):
    tags = {tag for tag, _ in drawn.tags}
    assert "style" not in tags and "metadata" not in tags
    assert "text" in tags and "happy" in drawn.text


def test_letters_that_are_not_in_matplotlib_s_font_are_left_to_the_reader_s():
    def in_chinese():
        return Figure(figsize=(1, 1)).text(0.5, 0.5, "笑").figure

    assert "笑" in figures.picture("one", in_chinese, "", "").svg


def test_figures_of_one_page_share_no_parts(tmp_path):
    (tmp_path / "folds.json").write_text(json.dumps({"a": POOLED, "b": POOLED}))
    page = page_of(tmp_path)
    assert_sound(page)
    assert len(page.figures) == 2
