import pytest
import torch
from torch import nn

from synthgap.models.memory_layout import SmallMapConv2d, optimise_layout


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (1, 4), (4, 4)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(3, 1, 1), (3, 2, 1), (1, 2, 0), (7, 2, 3), (1, 1, 0), ((1, 3), (1, 2), (0, 1))],
)
def test_a_convolution_gives_what_it_gave(shape, kernel, stride, padding):
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 5, kernel, stride, padding)
    images, others = (torch.randn(4, 3, *shape, requires_grad=True) for _ in range(2))
    others.data.copy_(images.data)
    wanted = plain(images)
    wanted.square().sum().backward()
    wanted_weight, wanted_bias = plain.weight.grad, plain.bias.grad
    plain.zero_grad()
    optimise_layout(nn.Sequential(plain))
    assert type(plain) is SmallMapConv2d
    found = plain(others)
    found.square().sum().backward()
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(plain.weight.grad, wanted_weight)
    torch.testing.assert_close(plain.bias.grad, wanted_bias)
    torch.testing.assert_close(others.grad, images.grad)


def test_gradients_lie_in_memory_as_their_weights_do():
    convolution = nn.Conv2d(3, 5, 3, padding=1)
    optimise_layout(convolution)
    convolution(torch.randn(4, 3, 1, 1)).sum().backward()
    assert convolution.weight.grad.stride() == convolution.weight.stride()


def test_in_bfloat16_gradients_of_strides_over_one_pixel_are_finite_and_near():
    torch.manual_seed(0)
    convolution = nn.Conv2d(16, 16, 3, stride=2, padding=1)
    optimise_layout(convolution)
    images = torch.randn(64, 16, 1, 1)
    convolution(images).square().sum().backward()
    wanted = convolution.weight.grad.clone()
    convolution.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = convolution(images)
    assert half.dtype == torch.bfloat16
    half.float().square().sum().backward()
    torch.testing.assert_close(convolution.weight.grad, wanted, rtol=0.1, atol=0.5)


def test_too_small_a_map_is_refused_as_before():
    convolution = nn.Conv2d(3, 5, 3)
    optimise_layout(convolution)
    with pytest.raises(RuntimeError, match="size"):
        convolution(torch.randn(4, 3, 2, 2))
