from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import get_type_hints

import pytest
from ruamel.yaml import YAML

from synthgap.errors import ParamsError
from synthgap.params import parse_params, read_params, section_dict
from synthgap.params.sections import Params


@pytest.fixture(scope="module")
def text(checkout: Path) -> str:
    return (checkout / "recipes" / "digits.yaml").read_text(encoding="utf-8")


def edited(text: str, values: dict[str, str]) -> str:
    """The text with other values written at dotted places, whatever is tuned there."""
    places = {path: node_at(text, path) for path in values}
    for path, node in sorted(places.items(), key=lambda item: -item[1].start_mark.index):
        text = text[: node.start_mark.index] + values[path] + text[node.end_mark.index :]
    return text


def node_at(text: str, path: str):
    node = YAML(typ="safe", pure=True).compose(text)
    for wanted in path.split("."):
        node = next(value for key, value in node.value if key.value == wanted)
    return node


def refusal(text: str) -> str:
    with pytest.raises(ParamsError) as caught:
        parse_params(text, place="params.yaml")
    return str(caught.value)


def test_the_shipped_params_read(checkout):
    params = read_params(checkout / "params.yaml")
    assert isinstance(params, Params)


def test_everything_read_is_frozen_and_of_its_declared_type(text):
    waiting = [parse_params(text, place="x")]
    while waiting:
        section = waiting.pop()
        first = dataclasses.fields(section)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(section, first, None)
        for name, kind in get_type_hints(type(section)).items():
            value = getattr(section, name)
            if dataclasses.is_dataclass(value):
                waiting.append(value)
            elif kind in (int, float, str):
                assert type(value) is kind, name
            elif isinstance(value, tuple):
                assert len({type(part) for part in value}) <= 1, name


def test_a_whole_number_is_accepted_as_a_number(text):
    params = parse_params(edited(text, {"training.momentum": "0"}), place="x")
    assert params.training.momentum == 0.0
    assert type(params.training.momentum) is float


@pytest.mark.parametrize("written", ["1.0e-4", "1e-4", "0.0001", "1E-4"])
def test_a_small_number_may_be_written_as_dvc_writes_it(text, written):
    params = parse_params(edited(text, {"training.weight_decay": written}), place="x")
    assert params.training.weight_decay == 1e-4


def test_everything_wrong_is_named_at_once(text):
    changed = edited(
        text.replace("\n  epochs: ", "\n  epoch: ", 1),
        {
            "runtime.threads": "true",
            "validate.near_margin": "'0.8'",
            "runtime.device": "gpu",
            "data.splits.corpus": "0",
            "student.temperature": "-1.0",
            "summarise.resamples": "[2000]",
        },
    )
    message = refusal(changed)
    for words in (
        "training.epoch: unknown key; did you mean `epochs`?",
        "training.epochs: missing, expected a whole number",
        "runtime.threads: true, expected a whole number",
        "validate.near_margin: '0.8', expected a number; write it without quotes",
        "runtime.device: 'gpu', expected auto or cpu or cuda",
        "data.splits.corpus: 0, expected at least 1 image a class",
        "student.temperature: -1.0, expected above 0",
        "summarise.resamples: a list, expected a whole number",
    ):
        assert words in message
    assert message.startswith("params.yaml: 8 problems")


def test_a_problem_names_its_line(text):
    changed = edited(text, {"training.epochs": "none"})
    number = next(i for i, line in enumerate(changed.splitlines(), 1) if " epochs: none" in line)
    assert f"line {number}: training.epochs: 'none'" in refusal(changed)


def test_a_key_given_twice_is_refused(text):
    assert "seed: given twice" in refusal(text + "\nseed: 1\n")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (
            "grid.synthetic_sets",
            "[g1.0, g2.0, g7.5, g2]",
            "grid.synthetic_sets: 'g2', expected [<rival>-]g<guidance scale>[-<prompt scheme>]",
        ),
        (
            "transfer.guidance_scale",
            "2",
            "transfer.guidance_scale: 2, expected a number; write 2.0",
        ),
        ("generator.autoencoder.steps", "4.5", "autoencoder.steps: 4.5, expected a whole number"),
        (
            "training.global_crops.scale",
            "[0.5]",
            "1 values, expected a list of 2 values, each a number",
        ),
        ("training.global_crops.scale", "[1.0, 0.5]", "training.global_crops.scale: [1.0, 0.5]"),
        ("student.model", "7", "student.model: 7, expected text"),
        ("student.model", "null", "student.model: null, expected text"),
        ("synthesize.count", "as_trian", "did you mean `as_train`?"),
        ("summarise.confidence", ".nan", "summarise.confidence: .nan, expected a number"),
        ("summarise.confidence", "!secret 1", "summarise.confidence"),
        ("generator.pin", "{location: x}", "generator.pin.revision: missing"),
        ("generator.pin", "here", "generator.pin: 'here', expected the section's keys"),
        ("grid.depths", "[1, 1]", "grid.depths: [1, 1] repeats a value"),
        ("reduce.depths", "[4, 4]", "reduce.depths: [4, 4], expected different"),
        ("grid.depths", "{}", "grid.depths: keys, expected a list of a whole number"),
        ("generator.kind", "pin", "generator.kind: pin, but `pin` is null"),
        ("register.seed", "9", "register.seed: 9, expected one of train.seeds"),
        ("student.options", "{stem: {}}", "student.options.stem: keys, expected"),
        (
            "training.local_crops",
            "[]\n  ",
            "training.local_crops: a list, expected the section's keys",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_is_allowed(text, place, value, words):
    assert words in refusal(edited(text, {place: value}))


def test_a_whole_section_can_be_missing(text):
    start = text.index("\nregister:")
    message = refusal(text[:start] + text[text.index("\nsummarise:") :])
    assert "register: missing, expected the keys guidance_scale, seed" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [1, 2\nb: 3\n", "no valid YAML"),
        ("a: 'x\n", "no valid YAML"),
        ("", "expected sections"),
        ("- 1\n", "expected sections"),
        ("seed: 1\n\tx: 2\n", "no valid YAML"),
    ],
)
def test_what_is_no_params_yaml_is_one_line(tmp_path, content, words):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file_is_one_line(tmp_path):
    with pytest.raises(ParamsError, match="No such file"):
        read_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParamsError, match="UTF-8"):
        read_params(tmp_path / "params.yaml")


def test_a_section_as_plain_containers_reads_back_from_json(text):
    section = parse_params(text, place="x").training
    plain = section_dict(section)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["global_crops"]["scale"] == list(section.global_crops.scale)
    assert set(plain) == {item.name for item in dataclasses.fields(section)}
