"""Real Guidance beside loops over numbers, and by its laws."""

import pytest
import torch

from synthgap.guidance.losses import project_gradients
from synthgap.params.guidance import Rg

A_GEM = Rg(0.0, 1.0, "whole")
SHAPES = [(2, 3, 2, 2), (4,), (3, 4), ()]  # of parameters; 41 values


def gradients(seed=0, dtype=torch.float64):
    """A real and a synthetic one, a tensor a parameter, the first channels-last in one alone."""
    draw = torch.Generator().manual_seed(seed)
    real, synthetic = (
        [torch.randn(shape, dtype=dtype, generator=draw) for shape in SHAPES] for _ in range(2)
    )
    real[0] = real[0].to(memory_format=torch.channels_last)
    return real, synthetic


def flat(gradient):
    return torch.cat([part.reshape(-1) for part in gradient])


def turned(real, synthetic, *, agree):
    """The synthetic gradient, or its opposite."""
    agrees = torch.dot(flat(real), flat(synthetic)) >= 0
    return [part if agrees == agree else -part for part in synthetic]


def updated(real, synthetic, rg, groups=None):
    """Flat, and what was given stays."""
    copies = [part.clone() for part in synthetic]
    return flat(project_gradients(real, copies, rg, groups))


def slow_update(real, synthetic, rg):
    """Wang et al., eq. 3 to 5, as printed."""
    product = sum(f * r for f, r in zip(synthetic, real, strict=True))
    if product < 0:
        length = sum(r * r for r in real)
        synthetic = [f - product / length * r for f, r in zip(synthetic, real, strict=True)]
    return [rg.lambda_1 * r + rg.lambda_2 * f for f, r in zip(synthetic, real, strict=True)]


@pytest.mark.parametrize("agree", [True, False])
@pytest.mark.parametrize("weights", [(0.0, 1.0), (1.0, 1.0), (0.3, 2.0), (1.0, 0.0)])
def test_it_is_the_printed_rule(agree, weights):
    rg = Rg(*weights, "whole")
    real, synthetic = gradients()
    synthetic = turned(real, synthetic, agree=agree)
    wanted = slow_update(flat(real).tolist(), flat(synthetic).tolist(), rg)
    assert updated(real, synthetic, rg).tolist() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_agreeing_gradients_are_left_alone(seed):
    real, synthetic = gradients(seed, torch.float32)
    synthetic = turned(real, synthetic, agree=True)
    assert torch.equal(updated(real, synthetic, A_GEM), flat(synthetic))
    both = updated(real, synthetic, Rg(1.0, 1.0, "whole"))
    assert torch.allclose(both, flat(real) + flat(synthetic))


@pytest.mark.parametrize("seed", range(5))
def test_what_disagrees_becomes_perpendicular(seed):
    real, synthetic = gradients(seed)
    synthetic = turned(real, synthetic, agree=False)
    update, g_r, g_f = updated(real, synthetic, A_GEM), flat(real), flat(synthetic)
    assert abs(torch.dot(update, g_r)) < 1e-12 * g_r.norm() * g_f.norm()
    assert update.norm() < g_f.norm()
    taken = g_f - update  # the smallest change that does it: along the real gradient alone
    assert torch.allclose(taken / taken.norm(), -g_r / g_r.norm())


@pytest.mark.parametrize("lambda_1", [0.0, 0.5, 2.0])
def test_the_update_never_raises_the_real_loss(lambda_1):
    for seed in range(20):
        real, synthetic = gradients(seed)
        update, g_r = updated(real, synthetic, Rg(lambda_1, 1.0, "whole")), flat(real)
        assert torch.dot(update, g_r) >= lambda_1 * torch.dot(g_r, g_r) - 1e-9


def test_the_length_of_the_real_gradient_does_not_matter_to_a_gem():
    real, synthetic = gradients()
    synthetic = turned(real, synthetic, agree=False)
    scaled = [[scale * part for part in real] for scale in (1.0, 1e-6, 1e6)]
    updates = [updated(one, synthetic, A_GEM) for one in scaled]
    assert all(torch.allclose(update, updates[0]) for update in updates)


@pytest.mark.parametrize("rg", [A_GEM, Rg(1.0, 1.0, "whole"), Rg(1.0, 1.0, "unit")])
def test_without_a_real_gradient_the_synthetic_one_stands(rg):
    real, synthetic = gradients(dtype=torch.float32)
    none = [torch.zeros_like(part) for part in real]
    assert torch.equal(updated(none, synthetic, rg, [[0, 1], [2, 3]]), flat(synthetic))


def test_units_are_projected_each_by_itself():
    rg, groups = Rg(0.5, 1.0, "unit"), [[1, 0], [2], [3]]
    real, synthetic = gradients()
    synthetic = turned(real, synthetic, agree=False)
    found = [part.clone() for part in synthetic]
    project_gradients(real, found, rg, groups)
    for group in groups:
        own = [[given[index] for index in group] for given in (real, synthetic, found)]
        assert torch.allclose(updated(own[0], own[1], rg), flat(own[2]), rtol=1e-12)
    assert not torch.allclose(flat(found), updated(real, synthetic, rg))
    whole = updated(real, synthetic, rg, [range(len(SHAPES))])
    assert torch.equal(whole, updated(real, synthetic, rg))


def test_the_real_gradient_stays_and_the_update_takes_the_others_place():
    real, synthetic = gradients()
    before = flat(real).clone()
    update = project_gradients(real, synthetic, Rg(1.0, 1.0, "whole"))
    assert torch.equal(flat(real), before)
    assert all(one is other for one, other in zip(update, synthetic, strict=True))


def test_a_mean_of_projections_is_not_a_projection_of_means():
    """Why gradients of parts and processes are averaged first: each part alone may agree."""
    real = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    synthetic = torch.tensor([[2.0, 1.0], [-4.0, 1.0]], dtype=torch.float64)
    means = updated([real.mean(dim=0)], [synthetic.mean(dim=0)], A_GEM)
    each = [updated([g_r], [g_f], A_GEM) for g_r, g_f in zip(real, synthetic, strict=True)]
    assert means.tolist() == pytest.approx([0.0, 1.0])
    assert torch.stack(each).mean(dim=0).tolist() == pytest.approx([1.0, 1.0])
