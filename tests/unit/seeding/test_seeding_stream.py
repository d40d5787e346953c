import torch

from synthgap.seeding import derived_seed, stream, torch_stream


def test_a_stream_is_its_name():
    assert stream(1, "a", 2).random() == stream(1, "a", 2).random()
    assert len({derived_seed(1, "a"), derived_seed(1, "b"), derived_seed(2, "a")}) == 3
    assert torch.equal(
        torch.rand(3, generator=torch_stream(1, "a")), torch.rand(3, generator=torch_stream(1, "a"))
    )


def test_seeds_fit_torch():
    assert all(0 <= derived_seed(1, index) < 2**63 for index in range(100))
