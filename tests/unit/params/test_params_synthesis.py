from __future__ import annotations

import pytest

from synthgap.params.synthesis import SCHEMES, SetName


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("g2.0", SetName(None, 2.0, None, None, None)),
        ("g7.5-definition", SetName(None, 7.5, "definition", None, None)),
        ("dit-g2.0", SetName("dit", 2.0, None, None, None)),
        ("sd21-g2.0-name-s10-x0.25", SetName("sd21", 2.0, "name", 10, 0.25)),
        ("g2.0-x10", SetName(None, 2.0, None, None, 10.0)),
        ("stylegan", SetName("stylegan", None, None, None, None)),
        ("stylegan-x2", SetName("stylegan", None, None, None, 2.0)),
    ],
)
def test_a_name_says_what_differs(name, parsed):
    assert SetName.parse(name) == parsed


@pytest.mark.parametrize(
    "name",
    [
        "train",
        "corpus",
        "oracle",
        "g2.0-stylised",
        "g2.0-s0",
        "g2.0-x2-definition",
        "g2",
        "2.0",
        "",
    ],
)
def test_other_names_are_no_synthetic_sets(name):
    assert SetName.parse(name) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_may_stand_in_a_name(scheme):
    parsed = SetName.parse(f"g2.0-{scheme}")
    assert parsed is not None
    assert parsed.scheme == scheme
