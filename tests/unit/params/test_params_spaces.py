from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from synthgap.params import read_params
from synthgap.params.reading import parse_params
from synthgap.params.recipes import recipe_names, resolve
from synthgap.params.sections import Params
from synthgap.params.spaces import ends, space_problems, study_problems
from synthgap.params.studies import SearchInterval

ROOT = Path(__file__).resolve().parents[3]
SCALE = "guide.image_set.guidance_scale"


@cache
def params() -> Params:
    return read_params(ROOT / "recipes" / "digits.yaml")


def problems(space, **changes) -> str:
    study = replace(params().studies["joint"], space=space, grid=(), first=(), **changes)
    return "\n".join(space_problems(params(), study))


def line(low, high, step=None, *, log=False) -> SearchInterval:
    return SearchInterval(low, high, step, log)


def test_shipped_studies_have_no_problems():
    assert not list(study_problems(params()))


@pytest.mark.parametrize("name", recipe_names(ROOT / "recipes"))
def test_the_studies_of_every_recipe_fit_it(name):
    assert not list(study_problems(parse_params(resolve(ROOT / "recipes", name), place=name)))


@pytest.mark.parametrize(
    "space",
    [
        {"guide.rg.lambda_1": line(0.0, 1.0)},
        {"guide.rg.lambda_1": (0.0, 0.5, 1)},
        {"guide.prefix.depth": line(1.0, 5.0, 1.0)},
        {"guide.prefix.depth": (1, 2, 5)},
        {"guide.pg.tap": (None, 2, 3)},
        {"guide.image_set.scheme": ("template", "definition")},
        {"guide.image_set.steps": line(5.0, 20.0, 5.0)},
        {"guide.image_set.rival": (None, "dit")},
        {"guide.image_set": ("g1.0", "dit-g2.0")},
        {SCALE: line(1.0, 4.0, 0.5)},
        {SCALE: (1, 2.5)},
        {"training.local_crops.scale.0": line(0.05, 0.5)},
        {"training.local_crops.jitter": line(0.0, 1.0)},
        {"training.augmentation": ("none", "pixmix")},
        {"training.base_lr": line(0.01, 10.0, log=True)},
        {"protocols.low-shot.real_per_class": line(1.0, 20.0, 1.0)},
        {"protocols.low-shot.init": ("random", "reference")},
        {"guide.pg.lambda_3.kl": line(0.1, 10.0, log=True)},
    ],
    ids=lambda space: next(iter(space)),
)
def test_every_kind_of_parameter_can_be_searched(space):
    assert problems(space) == ""


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ({"guide.rg.lamda_1": line(0.0, 1.0)}, "did you mean `lambda_1`"),
        ({"gide.rg.lambda_1": line(0.0, 1.0)}, "which no trial reads"),
        ({"generator.train_steps": (1, 2)}, "generator.train_steps, which no trial reads"),
        ({"data.image_size": (8, 16)}, "which no trial reads"),
        ({"seed": (0, 1)}, "which no trial reads"),
        ({"guide.rg.lambda_1": line(-0.1, 1.0)}, "lambda_1: -0.1"),
        ({"guide.real_share": line(0.1, 1.0)}, "real_share: 1.0"),
        ({"guide.real_share": line(0.0, 0.9, 0.1)}, "real_share: 0.0"),
        ({"guide.prefix.depth": line(0.0, 3.0, 1.0)}, "depth: 0"),
        ({"guide.prefix.depth": line(1.0, 3.0, 0.5)}, "1.5, expected a whole number"),
        ({"guide.augmentation": ("none", "cutmix")}, "'cutmix', expected"),
        ({"guide.augmentation": line(0.0, 1.0)}, "0.0, expected"),
        ({"guide.rg.lambda_1": ("low", "high")}, "'low', expected a number"),
        ({"guide.rg.lambda_1": (True, False)}, "True, expected a number"),
        ({"guide.image_set.scheme": ("template", "poem")}, "'poem', expected"),
        ({"guide.image_set.scale": (1.0,)}, "unknown key"),
        ({"guide.image_set.rival": (None, "sd99")}, "expected a rival"),
        ({SCALE: line(1.0, 4.0)}, "expected values or a step"),
        ({"guide.image_set.factor": line(0.5, 2.0)}, "expected values or a step"),
        ({"training.local_crops.scale.5": line(0.1, 0.2)}, "nothing is at '5'"),
        ({"protocols.few-shot.real_per_class": (1, 2)}, "nothing is at 'few-shot'"),
        ({"guide.pg.reference": ("tutor", "teacher")}, "expected one of grid.references"),
        ({"guide.rg.lambda_1": ()}, "expected at least"),
    ],
)
def test_what_cannot_be_searched_is_named(space, reason):
    assert reason in problems(space)


def test_a_protocol_that_is_none_is_named():
    assert "expected one of protocols" in problems({SCALE: (1.0,)}, protocol="few-shot")


def test_every_problem_of_a_space_is_named_at_once():
    found = problems({"guide.rg.lamda_1": (1.0,), "guide.augmentation": ("cutmix",), SCALE: (1.0,)})
    assert len(found.splitlines()) == 2


def test_ends_are_tried_and_the_first_step():
    assert ends(("a", None)) == ("a", None)
    assert ends(line(1.0, 2.0)) == (1.0, 2.0)
    assert ends(line(1.0, 2.0, 0.5)) == (1.0, 1.5, 2.0)
