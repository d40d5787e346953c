from __future__ import annotations

import json

import pytest

from synthgap.cli import main


def stdout_of(capsys, *arguments) -> str:
    assert main(["units", *arguments]) == 0
    return capsys.readouterr().out


def test_a_line_a_unit_with_parameters_and_cost(capsys):
    lines = stdout_of(
        capsys, "resnet18", "--options", "{channels: [8, 8, 8, 8]}", "--image-size", "32"
    ).splitlines()
    assert lines[0].startswith("resnet18: 10 units, ")
    rows = [line.split() for line in lines[2:]]
    assert [int(row[0]) for row in rows] == list(range(10))
    assert rows[0][1:3] == ["conv1+bn1", "9,536"]
    assert rows[-1][1] == "fc"
    assert rows[-1][-1] == "100.0%"


def test_json_holds_whole_numbers_that_add_up(capsys):
    found = json.loads(stdout_of(capsys, "tiny_vit_5m_224", "--json"))
    units = found["units"]
    assert len(units) == 18
    assert found["image_size"] == 224
    assert sum(unit["parameters"] for unit in units) == found["parameters"] == 5392764
    assert sum(unit["flops"] for unit in units) == found["flops"]
    assert sum(unit["flops_share"] for unit in units) == pytest.approx(1)


def test_without_a_name_it_is_the_student_of_params(capsys, checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    found = json.loads(stdout_of(capsys, "--classes", "10", "--json"))
    assert (found["model"], found["num_classes"]) == ("resnet10t", 10)
    assert found["image_size"] == 16
    assert [unit["index"] for unit in found["units"]] == list(range(6))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["resnet5"], "synthgap units: timm knows no 'resnet5'; .* resnet50"),
        (["resnet18", "--options", "3"], "'3', expected a YAML mapping"),
        (["resnet18", "--options", "{x: 3}"], "unexpected keyword argument 'x'"),
        (["regnety_002", "--stem", "small"], "synthgap units, stem: small, but RegNet is no"),
        (["vit_tiny_patch16_224", "--image-size", "8"], "takes no images of 8 px"),
        (["--stem", "small"], "name one"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, arguments, problem):
    import re

    assert main(["units", *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.search(problem, printed.err)
    assert printed.err.count("\n") == 1
