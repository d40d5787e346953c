"""Bigger real images than the digits: CIFAR-10 from its archive to students of both kinds."""

import json
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

NAME = "cifar10-part"
CIFAR = {
    "recipe": "cifar10",
    "data": {
        "name": NAME,
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
TRAIN, TEST = 40, 20  # images a class of the archive's two splits
STAGES = [
    ("settings", ""), ("ingest", ""), ("judge", ""), ("generator", ""), ("rivals", "-dit"),
    ("teacher", ""),
    ("synthesize", "-g2.0"), ("fidelity", ""), ("validate", ""),
    ("train", "-train"), ("train", "-g2.0"), ("clone", "-g2.0"),
]  # fmt: skip


def _smaller(archive: Path, target: Path) -> Path:
    """The archive with the first images of each class, in the same layout."""
    kept = Counter()
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(target, "w") as part:
        for name in sorted(whole.namelist()):
            folder = str(Path(name).parent)
            if name.endswith("/") or kept[folder] >= (TRAIN if "train/" in name else TEST):
                continue
            kept[folder] += 1
            part.writestr(name, whole.read(name))
    return target


def test_cifar10_goes_from_its_archive_to_students(clone_into, shared, tmp_path):
    clone = clone_into(tmp_path)
    clone.repro("ingest@digits")
    digits = clone.locked()
    archive = str(_smaller(shared / "data" / "cifar10.zip", tmp_path / "cifar10.zip"))
    command = ["data", "import", NAME, "--from-folder", archive, "--yes"]
    clone.run(sys.executable, "-m", "synthgap", *command)
    pinned = yaml.safe_load((clone.root / "data.dvc").read_text())
    assert set(pinned["meta"]["sets"]) == {"digits", NAME}
    assert pinned["outs"][0]["nfiles"] == 10 * (TRAIN + TEST) + 1_797
    assert "didn't change" in clone.repro("-s", "ingest@digits").stdout

    clone.set_params(CIFAR)
    words = clone.root / "prompts" / "cifar10" / "classes.yaml"  # as every recipe has one
    words.parent.mkdir()
    words.write_text("{}\n")
    # These alone, in this order: the gate asks for no set that CIFAR adds nothing to.
    clone.repro("-s", *(f"{stage}@cifar10{cell}" for stage, cell in STAGES))
    locked = clone.locked()
    assert locked.items() >= digits.items()
    for name, source in (("train", "real"), ("g2.0", "synthetic")):
        record = json.loads((clone.root / f"artifacts/train/cifar10/{name}/run.json").read_text())
        run = record["runs"][0]
        assert (run["source"], run["num_images"]) == (source, 120)
        assert run["real_labels"]["generator"] == (0 if name == "train" else 120)
    verdict = json.loads((clone.root / "artifacts/validate/cifar10/test.json").read_text())
    assert verdict["num_images"] == 10 * TEST
