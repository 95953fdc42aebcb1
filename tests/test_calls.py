"""Command lines as words."""

import pytest

from surrojax.cli.calls import override, without


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["a.py", "--sweep=seed=1", "--quiet"], ["a.py", "--quiet"]),
        (["a.py", "-sweep", "seed=1", "--quiet"], ["a.py", "--quiet"]),
        (["a.py", "--dry_run", "--x=1", "--nodry_run"], ["a.py", "--x=1"]),
        (["a.py", "--dry_run=true", "--x", "1"], ["a.py", "--x", "1"]),
        (["a.py", "--sweeps=1", "--config.sweep=1"], None),
        (["a.py", "--x=1", "--sweep"], ["a.py", "--x=1"]),
    ],
)
def test_flags_go_with_their_values(given, kept):
    assert without(given, "sweep", "dry_run") == (kept or given)


def test_a_field_of_the_config_is_a_flag():
    command = ["a.py", "--config.tune=p_z", "--config.tuned=1", "--config=tune"]
    assert without(command, "config.tune") == [
        *("a.py", "--config.tuned=1", "--config=tune")
    ]


@pytest.mark.parametrize(
    ("field", "value", "flag"),
    [
        ("tune", ("p_z", "p_x"), "--config.tune=p_z,p_x"),
        ("tune", (), "--config.tune=()"),
        ("seed", 3, "--config.seed=3"),
        ("search.bounds.ratio", (0.1, 0.5), "--config.search.bounds.ratio=(0.1, 0.5)"),
    ],
)
def test_an_override_has_the_least_quoting(field, value, flag):
    assert override(field, value) == flag
