from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from synthgap.errors import ParamsError
from synthgap.params import read_params
from synthgap.params.overriding import IMAGE_SET, PARTS, composed, overridden, value_at
from synthgap.params.sections import Params
from synthgap.params.spaces import READ

ROOT = Path(__file__).resolve().parents[3]


@cache
def params() -> Params:
    return read_params(ROOT / "recipes" / "digits.yaml")


def put(values, base=None) -> Params:
    return overridden(base or params(), values, place="study x")


def leaves(value, path):
    if is_dataclass(value):
        for item in fields(value):
            yield from leaves(getattr(value, item.name), f"{path}.{item.name}")
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}")
    elif isinstance(value, tuple) and value and not isinstance(value[0], str):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}.{index}")
    else:
        yield path


KEYS = [key for section in READ for key in leaves(getattr(params(), section), section)]
NAMED = [f"{IMAGE_SET}.{part}" for part in PARTS]


@pytest.mark.parametrize("key", [*KEYS, *NAMED])
def test_what_stands_at_a_key_put_there_changes_nothing(key):
    assert put({key: value_at(params(), key)}) == params()


def test_there_are_as_many_keys_as_values():
    assert len(KEYS) == len(set(KEYS)) > 100


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("guide.rg.lambda_1", 0.5),
        ("guide.pg.lambda_3.kl", 2.5),
        ("guide.pg.similarity", "l1"),
        ("guide.augmentation", "dino"),
        ("guide.prefix.depth", 2),
        ("training.base_lr", 1.5),
        ("training.local_crops.scale.0", 0.1),
        ("training.local_crops.scale", (0.1, 0.2)),
        ("guide.pg.tap", 3),
        ("protocols.low-shot.real_per_class", 9),
        ("protocols.low-shot.synthetic_ratio", 2.0),
        ("student.options.channels.0", 24),
        (f"{IMAGE_SET}.guidance_scale", 4.0),
        (f"{IMAGE_SET}.scheme", "definition"),
        (f"{IMAGE_SET}.steps", 7),
        (f"{IMAGE_SET}.factor", 2.0),
        (f"{IMAGE_SET}.rival", "dit"),
    ],
)
def test_a_value_put_is_the_value_there_and_the_only_change(key, value):
    changed = put({key: value})
    assert value_at(changed, key) == value
    assert value_at(params(), key) != value
    assert changed != params()
    assert put({key: value_at(params(), key)}, replace(changed, grid=params().grid)) == params()


def test_nothing_is_changed_in_place():
    before = read_params(ROOT / "recipes" / "digits.yaml")
    put({"protocols.low-shot.real_per_class": 9, "student.options.channels.0": 24})
    assert params() == before


def test_keys_do_not_depend_on_their_order():
    values = {"guide.rg.lambda_1": 0.5, f"{IMAGE_SET}.guidance_scale": 4.0, f"{IMAGE_SET}.steps": 7}
    assert put(values) == put(dict(reversed(values.items())))
    assert put(values).guide.image_set == "g4.0-s7"


def test_values_that_hold_only_together_are_put_together():
    turned = put({"guide.rg.lambda_1": 1.0, "guide.rg.lambda_2": 0.0})
    back = {"guide.rg.lambda_1": 0.0, "guide.rg.lambda_2": 1.0}
    assert put(back, turned) == put(dict(reversed(back.items())), turned)


def test_values_take_the_type_of_their_key():
    assert type(put({"training.base_lr": 3}).training.base_lr) is float
    assert type(put({"guide.prefix.depth": 3.0}).guide.prefix.depth) is int
    assert (
        type(put({"protocols.low-shot.real_per_class": 3.0}).protocols["low-shot"].real_per_class)
        is int
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"guide.rg.lamda_1": 1.0}, r"study x: guide\.rg\.lamda_1: .*did you mean `lambda_1`"),
        ({"gide.rg.lambda_1": 1.0}, r"did you mean `guide`"),
        ({"": 1.0}, r"unknown key"),
        ({"guide": 1.0}, r"expected the keys"),
        ({"guide.rg.lambda_1.low": 1.0}, r"no more names"),
        ({"guide.rg.lambda_1": "much"}, r"'much', expected a number"),
        ({"guide.rg.lambda_1": True}, r"True, expected a number"),
        ({"guide.rg.lambda_1": None}, r"None, expected a number"),
        ({"guide.rg.lambda_1": -0.5}, r"lambda_1: -0\.5"),
        ({"guide.prefix.depth": 2.5}, r"2\.5, expected a whole number"),
        ({"guide.prefix.depth": 0}, r"depth: 0"),
        ({"guide.augmentation": "cutmix"}, r"'cutmix', expected"),
        ({"guide.real_share": 1.0}, r"real_share: 1\.0"),
        ({"protocols.few-shot.real_per_class": 5}, r"nothing is at 'few-shot'; expected low-shot"),
        ({"training.local_crops.scale.2": 0.5}, r"nothing is at '2'"),
        ({"training.local_crops.scale": 0.5}, r"expected a list"),
        ({f"{IMAGE_SET}.scale": 0.5}, r"guide\.image_set\.scale: unknown key"),
        ({f"{IMAGE_SET}.scheme": "poem"}, r"'poem', expected"),
        ({f"{IMAGE_SET}.steps": 2.5}, r"2\.5, expected a whole number"),
        ({f"{IMAGE_SET}.factor": 100.0}, r"expected a factor from"),
        ({f"{IMAGE_SET}.rival": "sd99"}, r"expected a rival"),
        ({IMAGE_SET: "train"}, r"'train', expected"),
        ({"guide.pg.reference": "teacher"}, r"expected one of grid\.references"),
    ],
)
def test_what_params_yaml_would_refuse_is_refused(values, reason):
    with pytest.raises(ParamsError, match=reason):
        put(values)


def test_a_contradiction_names_the_values_that_made_it():
    with pytest.raises(ParamsError, match=r"^study x: with guide\.pg\.reference=teacher: "):
        put({"guide.pg.reference": "teacher"})


def test_a_set_that_the_grid_does_not_hold_is_added_once():
    changed = put({f"{IMAGE_SET}.guidance_scale": 4.0})
    assert changed.grid.synthetic_sets == (*params().grid.synthetic_sets, "g4.0")
    assert put({f"{IMAGE_SET}.guidance_scale": 7.5}).grid == params().grid


def test_parts_said_as_they_are_anyway_name_the_same_set():
    """`g2.0` and `g2.0-template-s10-x1` would be sampled twice."""
    base = params()
    values = {
        f"{IMAGE_SET}.scheme": base.synthesize.scheme,
        f"{IMAGE_SET}.steps": base.synthesize.steps,
        f"{IMAGE_SET}.factor": 1.0,
        f"{IMAGE_SET}.rival": None,
    }
    assert composed(base, values) == {IMAGE_SET: "g2.0"}
    assert composed(base, {**values, f"{IMAGE_SET}.guidance_scale": 4.0}) == {IMAGE_SET: "g4.0"}
    named = replace(base, guide=replace(base.guide, image_set=f"g2.0-{base.synthesize.scheme}"))
    assert composed(named, values) == {IMAGE_SET: named.guide.image_set}


def test_steps_of_a_tenth_name_sets_without_last_bits():
    assert composed(params(), {f"{IMAGE_SET}.guidance_scale": 1.0 + 7 * 0.1}) == {IMAGE_SET: "g1.7"}


def test_parts_are_put_on_a_whole_name_given_beside_them():
    values = {IMAGE_SET: "dit-g2.0", f"{IMAGE_SET}.guidance_scale": 3.0}
    assert composed(params(), values) == {IMAGE_SET: "dit-g3.0"}


def test_parts_of_a_name_that_is_none_are_refused():
    base = replace(params(), guide=replace(params().guide, image_set="train"))
    with pytest.raises(ParamsError, match="expected a synthetic set's name"):
        composed(base, {f"{IMAGE_SET}.steps": 7})
    with pytest.raises(ParamsError, match="unknown key"):
        value_at(base, f"{IMAGE_SET}.steps")


def test_a_problem_that_was_there_before_is_not_the_values_fault():
    base = replace(params(), guide=replace(params().guide, image_set="g9.0"))
    assert put({"guide.rg.lambda_1": 0.5}, base).guide.rg.lambda_1 == 0.5
