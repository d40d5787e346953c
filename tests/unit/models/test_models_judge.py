"""A judge says of each image what its network says of that image alone."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from synthgap.data import square
from synthgap.errors import CheckpointError
from synthgap.models.build import build_student
from synthgap.models.judge import JudgeCapabilities, JudgeNetwork, JudgePreprocessing, save_judge
from synthgap.models.judge_record import JudgeRecord
from synthgap.params.sections import Student

STUDENT = Student(
    "resnet10t", {"channels": (8, 8, 16, 16), "stem_width": 8}, "imagenet", "random", None,
    "cosine", 0.1,
)  # fmt: skip
EYE = JudgePreprocessing(16, 12, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
CLASSES = ("a", "b", "c")
PIXELS = np.random.default_rng(0).integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)


def write(folder, seed=0, student=STUDENT, eye=EYE):
    network = build_student(student, len(CLASSES), seed=seed)
    save_judge(
        folder, network.state_dict(), JudgeCapabilities(student, eye, CLASSES, real_labels=7)
    )
    return network.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    write(folder)
    return folder


def test_it_says_what_its_network_says(folder, tmp_path):
    network = write(tmp_path)
    middle = torch.from_numpy(PIXELS[:, 2:14, 2:14]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (EYE.mean, EYE.std))
    with torch.no_grad():
        expected = network((middle - mean) / std).softmax(dim=1).numpy()
    seen = JudgeNetwork.open(folder).view(PIXELS)
    np.testing.assert_allclose(seen.probabilities, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(seen.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert seen.features.shape == (11, 16)
    assert seen.features.dtype == seen.probabilities.dtype == np.float32


@pytest.mark.parametrize("batch", [4, 64])
def test_what_it_says_of_an_image_depends_on_that_image_alone(folder, batch):
    judge = JudgeNetwork.open(folder, batch=batch)
    together = judge.probabilities(PIXELS)
    assert np.array_equal(judge.probabilities(PIXELS[::-1].copy())[::-1], together)
    for number in (0, 5, 10):
        alone = judge.view(PIXELS[number : number + 1])
        assert np.array_equal(alone.probabilities[0], together[number])
        assert np.array_equal(alone.features[0], judge.features(PIXELS)[number])
    assert len(np.unique(together, axis=0)) == len(PIXELS)


def test_images_of_any_size_are_seen_as_students_see_them(folder):
    large = np.random.default_rng(1).integers(0, 256, (3, 40, 30, 3), dtype=np.uint8)
    reduced = np.stack([np.asarray(square(Image.fromarray(one), 16)) for one in large])
    judge = JudgeNetwork.open(folder)
    assert np.array_equal(judge.probabilities(large), judge.probabilities(reduced))


def test_nothing_is_said_of_nothing(folder):
    seen = JudgeNetwork.open(folder).view(PIXELS[:0])
    assert seen.probabilities.shape == (0, 3)
    assert seen.features.shape == (0, 16)


def test_equal_digests_mean_equal_judges(folder, tmp_path):
    one = JudgeNetwork.open(folder)
    write(tmp_path / "same")
    write(tmp_path / "weights", seed=1)
    write(tmp_path / "eye", eye=JudgePreprocessing(16, 16, EYE.mean, EYE.std))
    assert (
        JudgeNetwork.open(tmp_path / "same").digest == one.digest == JudgeRecord.read(folder).digest
    )
    others = {JudgeNetwork.open(tmp_path / name).digest for name in ("weights", "eye")}
    assert len({one.digest, *others}) == 3
    assert (one.classes, one.real_labels) == (CLASSES, 7)


def test_a_missing_or_changed_judge_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="run `dvc repro judge`"):
        JudgeNetwork.open(tmp_path)
    write(tmp_path)
    weights = tmp_path / "judge.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(CheckpointError, match="changed after it was written"):
        JudgeNetwork.open(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    write(tmp_path)
    about = json.loads((tmp_path / "judge.json").read_text())
    about["network"]["options"]["stem_width"] = 16
    (tmp_path / "judge.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="entries do not fit"):
        JudgeNetwork.open(tmp_path)
