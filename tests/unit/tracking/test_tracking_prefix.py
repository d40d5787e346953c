"""A prefix is two files of one piece, and stays as it is while the rest of a student learns."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_cells import hexed
from registered import NAME, flip_a_byte, folder_of, run_register

from synthgap.errors import CheckpointError, ParamsError
from synthgap.jobs import folder_digest
from synthgap.tracking.prefix import read_prefix
from synthgap.tracking.publishing import publish_from
from synthgap.tracking.registry import load_prefix

pytestmark = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")


def test_a_prefix_says_what_made_it(outputs: Path):
    about = read_prefix(folder_of(outputs, 2)).about
    assert about["units"] == ["conv1+bn1", "layer1.0"]
    assert about["donor"] == hexed("train g2.0 s0 1")
    assert about["real_labels"] == {"generator": 0, "donor": 0, "student": 600}
    assert about["val_top1"] == pytest.approx(
        {"mean": 96.95, "std": 0.05, "n": 2, "over": "seeds"}  # 98.4 - 2 x 0.5 - 0.5, +0.1 s1
    )
    assert about["inputs"]["artifacts/train/digits/g2.0/student-s0.safetensors"]


def test_registering_again_elsewhere_writes_the_same_bytes(outputs: Path, written: Path):
    shutil.rmtree(outputs / "artifacts/register")
    run_register(outputs, (3, 2, 1))
    ours, theirs = (folder_digest(root / "artifacts/register") for root in (outputs, written))
    assert ours == theirs


def test_a_depth_that_no_student_has_is_refused(outputs: Path):
    with pytest.raises(ParamsError, match=r"grid.depths: \[99\], expected 1 to 5"):
        run_register(outputs, (1, 99))


def test_a_folder_that_is_not_exactly_a_prefix_is_refused(outputs: Path, tmp_path: Path):
    folder = tmp_path / "prefix"
    shutil.copytree(folder_of(outputs, 1), folder)
    flip_a_byte(folder / "prefix.safetensors")
    with pytest.raises(CheckpointError, match="sha256"):
        load_prefix(folder)
    (folder / "optimizer.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match="exactly"):
        load_prefix(folder)
    with pytest.raises(CheckpointError, match="no such folder"):
        load_prefix(tmp_path / "nowhere")


def test_pickled_weights_under_a_safe_name_are_refused(outputs: Path, tmp_path: Path):
    from synthgap.jobs import file_digest

    folder = tmp_path / "prefix"
    shutil.copytree(folder_of(outputs, 1), folder)
    (folder / "prefix.safetensors").write_bytes(b"\x80\x04N.")
    about = json.loads((folder / "prefix.json").read_text())
    about["weights_sha256"] = file_digest(folder / "prefix.safetensors")
    (folder / "prefix.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="not safetensors"):
        load_prefix(folder)


def test_a_loaded_prefix_stays_bit_for_bit_while_the_rest_learns(outputs: Path):
    import torch
    from safetensors.torch import load_file

    import synthgap

    publish_from(outputs)
    model = synthgap.load_prefix(f"{NAME}@n2", num_classes=4, root=outputs)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights = load_file(folder_of(outputs, 2) / "prefix.safetensors")
    assert all(torch.equal(before[name], tensor) for name, tensor in weights.items())
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=0.1)
    for step in range(3):
        images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(step))
        loss = model(images).logsumexp(dim=1).mean() - model(images)[:, step].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())
    moved = [name for name in after if not torch.equal(after[name], before[name])]
    assert moved
    assert not set(moved) & set(weights)
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 4)


def test_the_public_door_is_lazy():
    code = "import sys, synthgap; synthgap.load_prefix; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
