"""A stem for small images."""

from __future__ import annotations

from torch import nn

from synthgap.errors import ParamsError

SMALL_STEM = ("conv1", "bn1")
"""The modules before a ResNet's first block, which another stem has in another shape."""


def use_small_stem(model: nn.Module, *, place: str) -> None:
    """Give a ResNet a 3x3 convolution of stride 1 for a stem, and no pooling (He et al. 2016, 4.2).

    Freshly drawn from the global state as timm draws its own.

    Raises:
        ParamsError: the model is no ResNet of timm's.
    """
    from timm.models.resnet import ResNet

    if not isinstance(model, ResNet):
        raise ParamsError(
            f"{place}, stem: small, but {type(model).__name__} is no ResNet; "
            "set stem: imagenet, or choose a model like resnet18 or resnet50"
        )
    channels = model.get_submodule("bn1").num_features
    assert isinstance(channels, int)
    conv = nn.Conv2d(3, channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule("conv1", conv)
    model.set_submodule("maxpool", nn.Identity())
