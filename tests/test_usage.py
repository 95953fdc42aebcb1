"""Help texts: what a config's file says of its fields."""

import importlib.util
import sys
import textwrap

import pytest
from absl import flags

from surrojax.cli import usage

BELOW = '''
"""Below."""
from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.seed = 0  # of chance
    # A group of two;
    # in two lines.
    config.rate = ConfigDict({"base": 0.1, "drops": (0.5, 0.8)})

    # Which are searched: names.
    config.tune = ("a", "b")  # a | b
    config.height, config.width = 3, 4  # pixels
    config.plain = None
    return config


def another():
    config = get_config()
    config.plain = 1  # not of get_config
    return config
'''

ABOVE = '''
"""Above: a test. And more."""
import below_of_a_test as below


def get_config():
    config = below.get_config()
    config.seed = 7  # lucky
    config.plain = 2  # only here
    return config
'''


def module(name, text, folder):
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(name, file)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def above(tmp_path):
    module("below_of_a_test", BELOW, tmp_path)
    yield module("above_of_a_test", ABOVE, tmp_path)
    for name in ("below_of_a_test", "above_of_a_test"):
        del sys.modules[name]


def test_comments_stand_beside_or_above_and_the_lower_file_has_the_word(above):
    assert usage.comments(above) == {
        "seed": "of chance",
        "rate": "A group of two; in two lines.",
        "tune": "Which are searched: names. a | b",
        "height": "pixels",
        "width": "pixels",
        "plain": "only here",
    }


def test_every_field_has_a_line_in_the_files_order(above):
    listed = usage.list_fields(above.get_config(), usage.comments(above))
    assert [line.split(" ")[2] for line in listed.splitlines()] == [
        "--config.seed=7",
        "--config.rate.*",
        "--config.rate.base=0.1",
        "--config.rate.drops=(0.5,0.8)",
        "--config.tune=a,b",
        "--config.height=3",
        "--config.width=4",
        "--config.plain=2",
    ]
    assert listed.splitlines()[0] == f"{'  --config.seed=7':32}of chance"


def test_some_fields_have_a_sentence_or_their_groups(above):
    told = usage.comments(above)
    some = usage.some_fields(above.get_config(), told, ["tune", "rate.base", "nothing"])
    assert some.splitlines() == [
        f"{'  --config.tune=a,b':32}Which are searched: names. a | b",
        f"{'  --config.rate.base=0.1':32}A group of two; in two lines",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ((), "()"),
        (("a", "b"), "a,b"),
        ((0.5, 1), "(0.5,1)"),
        (1e-5, "1e-05"),
    ],
)
def test_values_are_spelled_as_the_command_line_takes_them(value, text):
    assert usage.spelled(value) == text


def test_flags_say_what_their_value_is_and_their_default():
    values = flags.FlagValues()
    flags.DEFINE_string("dir", None, "DIR: Where.", flag_values=values)
    flags.DEFINE_bool("dry", False, "Does nothing.", flag_values=values)
    flags.DEFINE_list("seeds", ["0", "1"], "I,J: Some.", flag_values=values)
    flags.DEFINE_multi_string("sweep", [], "F=A: Each.", flag_values=values)
    named = {name: values[name] for name in ("dir", "dry", "seeds", "sweep")}
    assert usage.list_flags(named).splitlines() == [
        f"{'  --dir=DIR':32}Where.",
        f"{'  --dry':32}Does nothing.",
        f"{'  --seeds=I,J':32}Some. Default: 0,1.",
        f"{'  --sweep=F=A':32}Each.",
    ]


def test_configs_are_listed_with_their_first_sentence(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    for name, text in (("common", '"""Shared."""'), ("b", ABOVE), ("a", BELOW)):
        (folder / f"{name}.py").write_text(text)
    assert usage.list_configs(folder).splitlines() == [
        f"{'  c/a.py':32}Below",
        f"{'  c/b.py':32}Above: a test",
    ]
