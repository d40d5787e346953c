from dataclasses import replace

import torch

from synthgap.params.sections import PixMix
from synthgap.training.crops import crop
from synthgap.training.operations import apply_operations
from synthgap.training.pixmix import PixMixPolicy

GIVEN = PixMix("fractals", 5, 3, 4, 3.0)


def some(batch, size=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)


def policy_and_draws(crops, batch=60, side=16, **changed):
    policy = PixMixPolicy(crops(), replace(GIVEN, **changed), some(5, side, seed=2))
    return policy, policy.draw(batch, 16, 16, torch.Generator().manual_seed(0))


def expected(policy, drawn, plain, row):
    """PixMix for one sample, written out (Hendrycks et al. 2022, appendix A)."""

    def changed(operations, at):
        kind, amount = operations.kinds[at].view(1), operations.amounts[at].view(1)
        return apply_operations(plain[row : row + 1].clone(), kind, amount)[0]

    mixed = changed(drawn.start, row)
    for number in range(int(drawn.rounds[row])):
        if drawn.pictured[row, number]:
            partner = policy.pictures[drawn.pictures[row, number]] / 255
            partner = partner.flip(-1) if drawn.corners.mirrored[row, number] else partner
        else:
            partner = changed(drawn.partners, (row, number))
        own, other = drawn.weights[row, number].tolist()
        if drawn.multiplied[row, number]:
            mixed = ((2 * mixed) ** own * (2 * partner).clamp_min(1e-37) ** other) / 2
        else:
            mixed = ((2 * mixed - 1) * own + (2 * partner - 1) * other + 1) / 2
        mixed = mixed.clamp(0, 1)
    return mixed


def test_rounds_are_as_the_paper_says(crops):
    policy, drawn = policy_and_draws(crops)
    made = policy.apply(some(60), drawn)[0]
    plain = crop(some(60), drawn.boxes, 16)
    assert set(drawn.rounds.tolist()) == {0, 1, 2, 3, 4}
    for row in range(60):
        wanted = expected(policy, drawn, plain, row)
        assert torch.allclose(made[row], wanted, atol=1e-4), row


def test_without_rounds_half_stay_and_half_are_changed(crops):
    policy, drawn = policy_and_draws(crops, batch=300, rounds=0)
    made = policy.apply(some(300), drawn)[0]
    same = (made == crop(some(300), drawn.boxes, 16)).flatten(1).all(dim=1)
    assert 0.4 < float(same.float().mean()) < 0.62


def test_weights_are_the_papers_betas(crops):
    _, drawn = policy_and_draws(crops, batch=3000)
    own, other = drawn.weights.flatten(0, 1).unbind(dim=1)
    away = other < 0
    assert abs(float(away.float().mean()) - 0.5) < 0.03
    assert abs(float(own[~away].mean()) - 3 / 4) < 0.01  # Beta(3, 1)
    assert abs(float(other[~away].mean()) - 1 / 4) < 0.01  # Beta(1, 3)
    assert abs(float(own[away].mean()) - 5 / 4) < 0.01
    assert float(own[away].min()) >= 1


def test_pictures_of_another_size_are_cut_or_enlarged(crops):
    for side in (8, 40):
        policy, drawn = policy_and_draws(crops, side=side)
        made = policy.apply(some(60), drawn)[0]
        assert made.shape == (60, 3, 16, 16)
        assert bool(made.isfinite().all())
