from dataclasses import replace

import pytest

from synthgap.params.guidance import Adda, Dada, Dann, Ltda

GOOD = {
    "dann": Dann((64,), 10.0, 1.0, 1.0),
    "adda": Adda((), 0.1, 1.0),
    "dada": Dada(10.0, 0.0, 0.1),
    "ltda": Ltda(0.0, 1.0, 0.0, 0.1),
}
BAD = [
    ("dann", "hidden", (64, 0)),
    ("dann", "gamma", 0.0),
    ("dann", "weight", -0.1),
    ("dann", "discriminator_rate", 0.0),
    ("adda", "hidden", (-1,)),
    ("adda", "rate", 0.0),
    ("adda", "discriminator_rate", -1.0),
    ("dada", "gamma", -1.0),
    ("dada", "entropy", -0.5),
    ("dada", "rate", 0.0),
    ("ltda", "beta", 1.0),
    ("ltda", "beta", -0.1),
    ("ltda", "ahead_rate", 0.0),
    ("ltda", "weight_rate", -1.0),
    ("ltda", "rate", 0.0),
]


@pytest.mark.parametrize("section", GOOD.values(), ids=GOOD)
def test_the_edges_of_what_is_allowed_are_allowed(section):
    assert list(section.problems()) == []


@pytest.mark.parametrize(("section", "name", "value"), BAD)
def test_a_value_out_of_range_is_named(section, name, value):
    (problem,) = replace(GOOD[section], **{name: value}).problems()
    displayed = list(value) if isinstance(value, tuple) else value
    assert problem.startswith(f"{name}: {displayed}, expected ")
