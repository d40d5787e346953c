import pytest
import torch
from torch import nn

from synthgap.models.build import build_student
from synthgap.models.memory_layout import optimise_layout
from synthgap.params.sections import Student


def test_other_convolutions_stay_as_they_are():
    kinds = [
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    ]
    optimise_layout(nn.Sequential(*kinds))
    assert {type(kind) for kind in kinds} == {nn.Conv2d}


@pytest.mark.parametrize("name", ["resnet10t", "tiny_vit_5m_224", "efficientnet_b0"])
def test_a_student_keeps_its_state_and_its_logits(name):
    student = Student(name, {}, "imagenet", "random", None, "cosine", 0.1)
    model = build_student(student, 3, seed=0).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = model(images)
        optimise_layout(model)
        torch.testing.assert_close(model(images), wanted, rtol=1e-3, atol=1e-4)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
