"""Rotations are told apart, whatever the images' labels."""

from dataclasses import replace

import guided_case as case
import torch

from synthgap.guidance.pretexts import NUM_ROTATIONS, rotated, rotation
from synthgap.models.build import build_student
from synthgap.params.students import Student
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.loop import fit
from synthgap.training.train_spec import TrainSpec

OPTIONS = {"channels": (8, 8, 8, 8), "stem_width": 8}
NETWORK = Student("resnet10t", OPTIONS, "imagenet", "random", None, "linear", 1.0)


def test_every_image_comes_in_all_four_turns():
    images = torch.randn(3, 3, 5, 5)
    crops, labels = rotated(images)
    assert labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for crop, updates, image in zip(crops, labels.tolist(), images.repeat(4, 1, 1, 1), strict=True):
        assert torch.equal(torch.rot90(crop, -updates, dims=(1, 2)), image)


def halves(count):
    """Bright above, dark below: the rotation is visible."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 60, (count, 3, 16, 16), generator=draw, dtype=torch.uint8)
    images[:, :, :8] += 150
    return images


def taught(labels, epochs=4):
    crops = replace(case.training().global_crops, scale=(0.9, 1.0))
    training = case.training(
        epochs=epochs, global_crops=crops, local_crops=replace(crops, count=0), base_lr=0.1
    )
    given = TrainSpec(
        "turns", LabelledImages(halves(24), labels), training, 1, {}, steps_per_epoch=4
    )
    model = build_student(NETWORK, NUM_ROTATIONS, seed=1)
    epochs = list(fit(model, given, case.one(), train_step=rotation()))
    return model.state_dict(), epochs[-1].metrics


def test_a_network_learns_how_often_images_were_turned():
    assert taught(torch.zeros(24, dtype=torch.int64))[1]["train/top1"] > 90


def test_labels_are_not_looked_at():
    first, second = (taught(labels, 1)[0] for labels in (torch.arange(24), torch.full((24,), -1)))
    assert all(torch.equal(first[name], second[name]) for name in first)
