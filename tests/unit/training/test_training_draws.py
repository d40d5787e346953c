import pytest
import torch

from synthgap.training import draws
from synthgap.training.draws import change_rows


@pytest.mark.parametrize("floats", [1, 30, 10**6])
@pytest.mark.parametrize("in_place", [False, True])
def test_the_chosen_change_and_the_others_stay_however_they_are_parted(
    monkeypatch, floats, in_place
):
    monkeypatch.setattr(draws, "PART_FLOATS", floats)
    images = torch.rand(9, 3, 2, 2)
    before, amounts = images.clone(), torch.arange(1.0, 5.0).view(4, 1, 1, 1)
    indices = torch.tensor([7, 0, 3, 8])

    def add(part, which):
        return part.add_(amounts[which]) if in_place else part + amounts[which]

    change_rows(images, indices, add)
    wanted = before.clone()
    wanted[indices] += amounts
    assert torch.equal(images, wanted)


def test_nobody_chosen_is_no_work():
    images = torch.rand(2, 3, 2, 2)
    change_rows(images, torch.tensor([], dtype=torch.int64), lambda part, which: part * 1 / 0)
