"""Tables in Markdown, as a reader of Markdown takes them."""

from markdown_it import MarkdownIt

from surrojax.baselines.markdown import table_of


def test_a_table_reads_as_one_with_its_numbers_to_the_right():
    text = table_of(("", "of", "a"), [("x", "", "1.00"), ("y", "z", "")], words=2)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    told = [token for token in tokens if token.type == "inline"]
    assert [cell.content for cell in told] == [
        "",
        "of",
        "a",
        "x",
        "",
        "1.00",
        "y",
        "z",
        "",
    ]
    heads = [token for token in tokens if token.type == "th_open"]
    assert [dict(head.attrs) for head in heads] == [
        {},
        {},
        {"style": "text-align:right"},
    ]
