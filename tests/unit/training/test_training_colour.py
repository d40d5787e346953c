from dataclasses import replace

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from synthgap.training.colour import (
    BRIGHTNESS,
    CONTRAST,
    HUE,
    ORDERS,
    SATURATION,
    apply_colours,
    draw_colours,
    luma,
    solarise,
)

STRONG = {"jitter": 1.0, "brightness": 0.4, "contrast": 0.4, "saturation": 0.3, "hue": 0.2}
ADJUST = {
    BRIGHTNESS: reference.adjust_brightness,
    CONTRAST: reference.adjust_contrast,
    SATURATION: reference.adjust_saturation,
    HUE: reference.adjust_hue,
}


@pytest.fixture
def images():
    return torch.rand(48, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def colours(crops):
    def make(shape=(48, 1), **changed):
        generator = torch.Generator().manual_seed(0)
        return draw_colours(crops(**changed), shape, reference_px=112, generator=generator)

    return make


def adjusted(image, order, amounts):
    for kind in order:
        image = ADJUST[kind](image, amounts[kind])
    return image


def test_jitter_is_torchvisions_in_every_order(images, colours):
    drawn = replace(colours(**STRONG), order=torch.arange(48)[:, None] % 24)
    made = apply_colours(images.clone(), drawn)
    for sample, image in enumerate(images):
        amounts = [*drawn.factors[sample, 0].tolist(), float(drawn.turns[sample, 0])]
        theirs = adjusted(image, ORDERS[sample % 24], amounts)
        assert torch.allclose(made[sample], theirs, atol=2e-3), ORDERS[sample % 24]


def test_jitter_without_hue(images, colours):
    drawn = colours(**{**STRONG, "hue": 0.0})
    made = apply_colours(images.clone(), drawn)
    for sample, image in enumerate(images):
        order = [kind for kind in ORDERS[int(drawn.order[sample, 0])] if kind != HUE]
        theirs = adjusted(image, order, drawn.factors[sample, 0].tolist())
        assert torch.allclose(made[sample], theirs, atol=2e-3)


def test_only_those_drawn_change_and_each_as_if_alone(images, colours):
    drawn = colours(**{**STRONG, "jitter": 0.5}, grayscale=0.3, blur=0.4, solarise=0.2)
    made = apply_colours(images.clone(), drawn)
    touched = drawn.jittered | drawn.gray | (drawn.sigma > 0) | drawn.solarised
    same = (made == images).flatten(1).all(dim=1)
    assert torch.equal(same, ~touched[:, 0])
    for sample in range(0, 48, 5):
        alone = apply_colours(
            images[sample : sample + 1].clone(),
            drawn.rows(torch.tensor([sample])),
        )
        assert torch.equal(alone[0], made[sample])


def test_what_is_drawn_follows_the_parameters(colours):
    drawn = colours((3000, 2), **{**STRONG, "jitter": 0.8}, grayscale=0.2, blur=0.5, solarise=0.1)
    shares = {"jittered": 0.8, "gray": 0.2, "sigma": 0.5, "solarised": 0.1}
    for name, share in shares.items():
        found = float((getattr(drawn, name) > 0).float().mean())
        assert abs(found - share) < 0.03, name
    for kind, strength in enumerate((0.4, 0.4, 0.3)):
        factors = drawn.factors[..., kind]
        assert abs(float(factors.mean()) - 1) < 0.02
        assert abs(float(factors.std()) - strength / 3**0.5) < 0.01
        assert float((factors - 1).abs().max()) <= strength + 1e-6
    assert float(drawn.turns.abs().max()) <= 0.2
    blurred = drawn.sigma[drawn.sigma > 0]
    assert float(blurred.min()) >= 0.05  # 0.1 to 2 px at 224, so half of it at 112
    assert float(blurred.max()) <= 1.0
    assert abs(float(blurred.mean()) - 0.525) < 0.03
    counts = torch.bincount(drawn.order.flatten(), minlength=24)
    assert int((counts - 250).abs().max()) < 80


def test_luma_is_torchvisions(images):
    assert torch.allclose(luma(images), reference.rgb_to_grayscale(images), atol=1e-3)


def test_grayscale_is_the_luma(images, colours):
    gray = apply_colours(images.clone(), colours(grayscale=1.0))
    assert torch.allclose(gray, luma(images).expand_as(gray))


def test_solarisation_is_pillows():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    theirs = reference.solarize(levels, 128)
    assert torch.equal((solarise(levels / 255) * 255).round().byte(), theirs)
