"""`synthgap explain` on a set made from a folder of samples: no network, no minutes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from synthgap.cli import main
from synthgap.data.image_set import ImageSet, write_manifest, write_png
from synthgap.generation.pipelines.provenance import Provenance, samples_digest
from synthgap.generation.synthesis.synthesize import SynthesizeParams, synthesize
from synthgap.jobs import Artifacts
from synthgap.params import read_params

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def root(tmp_path_factory, checkout):
    """A checkout with set g2.0 of the default recipe, five samples a class."""
    root = tmp_path_factory.mktemp("explained")
    (root / "params.yaml").write_text((checkout / "params.yaml").read_text())
    params = read_params(root / "params.yaml")
    artifacts = Artifacts(root, params.recipe)
    train, samples = artifacts.image_set("train"), root / "samples"
    draw = np.random.default_rng(0)
    columns = {"path": [], "label": [], "sha256": []}
    for label, name in enumerate(CLASSES):
        for index in range(5):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            columns["path"].append(f"{name}/{index}.png")
            columns["label"].append(label)
            columns["sha256"].append(write_png(train / columns["path"][-1], pixels))
            write_png(samples / name / f"{index}.png", 255 - pixels)
    write_manifest(train, kind="real", classes=CLASSES, columns=columns)
    known = Provenance("folder", "samples", None, samples_digest(samples), None, 40, None)
    replace(known, name="generator", licence="CC0").write(artifacts.generator)
    section = replace(params.synthesize, count=3)
    runtime = replace(params.runtime, workers=1, device="cpu")
    asked = SynthesizeParams(params.seed, runtime, params.data, params.prompts, section)
    synthesize(asked, artifacts, image_set="g2.0")
    jpeg = replace(section, format="jpeg", quality=80)
    synthesize(replace(asked, synthesize=jpeg), artifacts, image_set="g3.0")
    return root


@pytest.fixture
def run(root, monkeypatch, capsys):
    monkeypatch.chdir(root)

    def command(*arguments):
        code = main(["explain", *map(str, arguments)])
        output = capsys.readouterr()
        return code, output.out, output.err

    return command


def images(root):
    return ImageSet.read(root / "artifacts" / "sets" / "digits" / "g2.0")


def test_a_file_tells_how_it_was_made(root, run):
    path = images(root).root / images(root).paths[-1]
    code, out, _ = run(path)
    assert code == 0
    facts = dict(line.strip().split(None, 1) for line in out.splitlines()[1:] if " " in line)
    assert facts["generator.licence"] == "CC0"
    assert facts["k"] == "5"
    assert facts["class_name"] == "dog"


def test_made_again_it_is_the_same_file(root, run, tmp_path):
    path = tmp_path / "copied elsewhere.png"
    path.write_bytes(images(root).content(0))
    code, out, _ = run(path, "--regenerate")
    assert (code, out.splitlines()[-1]) == (0, "made again: the same bytes")
    code, out, _ = run("g2.0", 3, "--regenerate", "--json")
    assert code == 0
    assert json.loads(out)["regenerated"]["equal"]
    assert json.loads(out)["k"] == 3
    assert run("g3.0", 3, "--regenerate")[0] == 0


def test_another_file_is_exit_code_1_and_says_how_far_apart(root, run, tmp_path):
    path, chunk = tmp_path / "touched.png", PngImagePlugin.PngInfo()
    with Image.open(images(root).root / images(root).paths[0]) as image:
        pixels = np.asarray(image).copy()
        chunk.add_text("synthgap", image.text["synthgap"])
    pixels[0, 0, 0] ^= 64
    Image.fromarray(pixels).save(path, compress_level=0, pnginfo=chunk)
    code, out, _ = run(path, "--regenerate")
    assert code == 1
    assert "made again: other bytes, pixels differ by 64 at most" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nothing.png",), "nothing.png: No such file"),
        (("params.yaml",), "params.yaml: no readable image"),
        (("samples/cat/0.png",), "tells nothing of how it was made"),
        (("g2.0", "77"), "no image 77"),
        (("g9.0", "0"), "expected an image set"),
    ],
)
def test_what_cannot_be_explained_is_one_line(run, arguments, line):
    code, _, err = run(*arguments)
    assert code == 1
    assert line in err
    assert err.count("\n") == 1


def test_another_generator_is_named(root, run):
    kept = root / "artifacts" / "generator" / "digits" / "provenance.json"
    before = kept.read_text()
    kept.write_text(before.replace(json.loads(before)["sha256"], "0" * 64))
    try:
        code, _, err = run("g2.0", 3, "--regenerate")
    finally:
        kept.write_text(before)
    assert code == 1
    assert "check out the commit that made it" in err
