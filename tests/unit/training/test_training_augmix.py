from dataclasses import replace

import torch

from synthgap.params.sections import AugMix
from synthgap.training.augmix import AugMixPolicy
from synthgap.training.crops import crop
from synthgap.training.operations import KIND, apply_operations


def policy_and_draws(crops, batch=40, **changed):
    policy = AugMixPolicy(crops(), replace(AugMix(3, 3, -1, 1.0, 0.0), **changed))
    return policy, policy.draw(batch, 16, 16, torch.Generator().manual_seed(0))


def some(batch=40):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, 3, 16, 16), dtype=torch.uint8, generator=generator)


def test_a_mix_is_the_weighted_sum_of_image_and_chains(crops):
    policy, drawn = policy_and_draws(crops, width=2, depth=2)
    made = policy.apply(some(), drawn)[0]
    plain = crop(some(), drawn.boxes, 16)
    for sample in (0, 17):
        chains = []
        for chain in range(2):
            image = plain[sample : sample + 1].clone()
            for step in range(2):
                apply_operations(
                    image,
                    drawn.operations.kinds[sample : sample + 1, 0, chain, step],
                    drawn.operations.amounts[sample : sample + 1, 0, chain, step],
                )
            chains.append(image[0] * drawn.chain_weights[sample, 0, chain])
        share = drawn.mixed_share[sample, 0]
        wanted = (1 - share) * plain[sample] + share * sum(chains)
        assert torch.allclose(made[sample], wanted, atol=1e-6)


def test_weights_are_of_the_simplex_and_shares_of_the_interval(crops):
    _, drawn = policy_and_draws(crops, batch=2000, alpha=1.0)
    assert torch.allclose(drawn.chain_weights.sum(dim=2), torch.ones(2000, 1), atol=1e-6)
    # Dirichlet(1, 1, 1) and Beta(1, 1): means 1/3 and 1/2, variances 1/18 and 1/12
    assert abs(float(drawn.chain_weights.var()) - 1 / 18) < 0.005
    assert abs(float(drawn.mixed_share.mean()) - 1 / 2) < 0.03
    assert abs(float(drawn.mixed_share.var()) - 1 / 12) < 0.01


def test_chains_have_one_to_three_operations_of_the_nine(crops):
    _, drawn = policy_and_draws(crops, batch=2000)
    lengths = (drawn.operations.kinds != KIND["identity"]).sum(dim=3).flatten()
    shares = torch.bincount(lengths, minlength=4) / len(lengths)
    assert float(shares[0]) == 0
    assert float((shares[1:] - 1 / 3).abs().max()) < 0.03
    kinds = set(drawn.operations.kinds.flatten().tolist()) - {KIND["identity"]}
    assert len(kinds) == 9
    assert KIND["brightness"] not in kinds  # a corruption of ImageNet-C


def test_with_the_consistency_loss_the_first_view_is_the_plain_crop(crops):
    policy, drawn = policy_and_draws(crops, jsd_weight=12.0)
    assert policy.num_views == 3
    plain, first, second = policy.apply(some(), drawn)[0].chunk(3)
    assert torch.equal(plain, crop(some(), drawn.boxes, 16))
    assert not torch.equal(first, second)
    assert policy_and_draws(crops)[0].num_views == 1
