import pytest

from synthgap.reporting import formats
from synthgap.reporting.blocks import TableBlock


def _row(mean, low=None, high=None, n=3):
    return {"mean": mean, "std": 0.25, "n": n, "over": "seeds", "low": low, "high": high}


def test_minus_is_a_minus_and_zero_has_no_sign():
    assert formats.number(-3.21, 1) == "\N{MINUS SIGN}3.2"
    assert formats.number(-0.01, 1) == "0.0"
    assert formats.number(0.31, 1, "+") == "+0.3"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (_row(150.2, 120.0, 190.0), "150 [120, 190]"),
        (_row(150.2, None, 190.0), "150 [< 19, 190]"),
        (_row(150.2, 120.0, None), "150 [120, > 600]"),
        (_row(None, None, 19.0), "< 19"),
        (_row(None, 600.0, None), "> 600"),
        (None, "—"),
    ],
)
def test_label_equivalents_show_bounds(row, text):
    assert formats.label_equivalent(row, (19, 600)) == text


def test_spread_of_one_run_is_not_printed_as_zero():
    assert formats.spread(_row(95.23)) == "95.2 ± 0.2"
    assert formats.spread(_row(95.23, n=1)) == "95.2 (single run)"


def test_unknown_generator_labels_are_a_question_mark():
    row = {"real_labels": {"generator": None, "donor": 0, "student": 1200}}
    assert formats.real_labels(row) == "? / 0 / 1,200"


def test_an_undefined_share_is_a_dash():
    assert formats.with_interval(_row(None)) == "—"
    assert formats.with_interval(_row(0.5), 0, 100) == "50"


def test_cells_cannot_break_a_markdown_table():
    text = TableBlock(("a", "b"), [["x|y", "<b>"]]).markdown()
    assert text.splitlines()[-1] == "| x\\|y | &lt;b> |"
