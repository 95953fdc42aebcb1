"""How numbers and values are written in a report's tables."""

import pytest

from surrojax.report.page import breakable
from surrojax.report.tables import binomial_error, plain


def test_names_may_go_on_in_the_next_line_and_numbers_may_not():
    assert breakable("search.optimizer=pso,a=0.5") == (
        "search.<wbr>optimizer=<wbr>pso,<wbr>a=<wbr>0.5"
    )
    assert breakable("12,345.67") == "12,345.67"
    assert breakable("runs/a") == "runs/<wbr>a"
    assert breakable("<b>=1") == "&lt;b&gt;=<wbr>1"


def test_an_error_is_told_where_it_can_be():
    for correct, samples, error in ((7, 10, 0.1449), (10, 10, None), (0, 9, None)):
        found = binomial_error(correct / samples, samples)
        assert found == (error and pytest.approx(error, abs=1e-4))
    assert binomial_error(0.0, 0) is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        *((None, "none"), ((), "()"), ({}, "none"), (False, "False")),
        *(
            (1e-05, "1e-05"),
            (("p_z", 0.5), "p_z, 0.5"),
            ({"a": 1, "b": []}, "a: 1; b: ()"),
        ),
    ],
)
def test_values_are_written_plainly(value, told):
    assert plain(value) == told
