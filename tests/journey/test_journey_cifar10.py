"""Bigger real images than the digits: CIFAR-10 from its archive to students of both kinds."""

import json
import sys

import pytest
import yaml

pytestmark = pytest.mark.slow

CIFAR = {
    "recipe": "cifar10",
    "data": {
        "name": "cifar10",
        "image_size": 16,
        "splits": {"corpus": 12, "train": 12, "val": 4, "test": "official"},
    },
    "generator": {"denoiser": {"captions": ["a photo of a {class}", "{class}"]}},
    "prompts": {"templates": None, "classes": None, "backgrounds": None},
    "synthesize": {"scheme": "name"},
    "teacher": {"prompt": "a photo of a {class}"},
    "validate": {"max_real_copy_share": 0.01},
    "grid": {
        "synthetic_sets": ["g2.0"],
        "sets": ["train", "g2.0"],
        "clones": ["g2.0"],
        "ablations": ["normalisation"],
    },
    "clone": {"curve_sets": ["g2.0"]},
}
STAGES = [
    ("ingest", ""), ("judge", ""), ("generator", ""), ("rivals", "-dit"), ("teacher", ""),
    ("synthesize", "-g2.0"), ("fidelity", ""), ("validate", ""),
    ("train", "-train"), ("train", "-g2.0"), ("clone", "-g2.0"),
]  # fmt: skip


def test_cifar10_goes_from_its_archive_to_students(clone_into, shared, tmp_path):
    clone = clone_into(tmp_path)
    clone.dvc("repro", "ingest@digits")
    digits = clone.locked()
    archive = str(shared / "data" / "cifar10.zip")
    command = ["data", "import", "cifar10", "--from-folder", archive, "--yes"]
    clone.run(sys.executable, "-m", "synthgap", *command)
    pinned = yaml.safe_load((clone.root / "data.dvc").read_text())
    assert set(pinned["meta"]["sets"]) == {"digits", "cifar10"}
    assert pinned["outs"][0]["nfiles"] == 60_000 + 1_797
    assert "didn't change" in clone.dvc("repro", "-s", "ingest@digits").stdout

    clone.set_params(CIFAR)
    words = clone.root / "prompts" / "cifar10" / "classes.yaml"  # as every recipe has one
    words.parent.mkdir()
    words.write_text("{}\n")
    for stage in STAGES:  # one by one: the gate asks for no set that CIFAR adds nothing to
        clone.dvc("repro", "-s", f"{stage[0]}@cifar10{stage[1]}")
    locked = clone.locked()
    assert locked.items() >= digits.items()
    for name, source in (("train", "real"), ("g2.0", "synthetic")):
        record = json.loads((clone.root / f"artifacts/train/cifar10/{name}/run.json").read_text())
        run = record["runs"][0]
        assert (run["source"], run["num_images"]) == (source, 120)
        assert run["real_labels"]["generator"] == (0 if name == "train" else 120)
    verdict = json.loads((clone.root / "artifacts/validate/cifar10/test.json").read_text())
    assert verdict["num_images"] == 10_000
