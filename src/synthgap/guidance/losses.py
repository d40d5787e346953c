"""Pretrained Guidance's pairwise loss and Real Guidance's projection (Wang et al.)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.params.guidance import Distance, Pg, Rg

ZERO_LENGTH = 1e-8  # a feature vector shorter than this has no direction


def pairwise_loss(runner: Tensor, reference: Tensor, pg: Pg) -> Tensor:
    """L_pg of the learner's features (n, dim) beside the reference's (n, other dim) of the same n.

    The gradient goes to the learner alone. Not yet weighted by lambda_3. Fewer than two images
    have no pairs, and nothing to follow. The means are ours, and other conventions a factor away:

    - `l1`: mean of |D_p - D_u| over the n(n - 1) ordered pairs. The paper's printed double sum is
      n(n - 1) times as much, so lambda_3 = n(n - 1) times its weight.
    - `kl`: row i is softmax(D[i, j] / temperature) over the other n - 1 images, and KL(p_i || q_i)
      of the reference p beside the learner q is averaged over the n rows, in nats (Ojha et al.,
      "Few-shot Image Generation via Cross-domain Correspondence", at temperature 1). The plain
      double sum is n times as much; CDC's code averages over rows and columns, which is 1/(n - 1)
      of ours: its weight of 1000 is a lambda_3 of 1000/(n - 1).

    Half precision is widened first: two nearby images differ in bits that it does not have.
    """
    with torch.autocast(runner.device.type, enabled=False):
        if len(runner) < 2:
            return 0 * _wide(runner).sum()
        wanted = pairwise_similarities(reference.detach(), pg.distance).to(runner.device)
        found = pairwise_similarities(runner, pg.distance)
        if pg.similarity == "l1":
            return (wanted - found).abs().mean()
        p, q = ((rows / pg.temperature).log_softmax(dim=1) for rows in (wanted, found))
        return functional.kl_div(q, p, reduction="batchmean", log_target=True)


def pairwise_similarities(features: Tensor, distance: Distance) -> Tensor:
    """How near every image is to each other one, (n, n - 1), in the order of the images.

    The cosine of features (n, dim), or minus their Euclidean distance: near is large in both, as
    a softmax wants it (protocol.md 5).
    """
    wide = _wide(features)
    if distance == "cosine":
        directions = functional.normalize(wide, dim=1, eps=ZERO_LENGTH)
        return _off_diagonal(directions @ directions.T)
    # Sums of squares would cancel between near images; equal ones have gradient 0, not NaN.
    exactly = "donot_use_mm_for_euclid_dist"
    return -_off_diagonal(torch.cdist(wide, wide, compute_mode=exactly))


def _off_diagonal(square: Tensor) -> Tensor:
    """Drop the diagonal of (n, n), leaving (n, n - 1): what follows each of its entries is kept."""
    count = len(square)
    return square.flatten()[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)


def _wide(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()


def project_gradients(
    real: Sequence[Tensor],
    synthetic: Sequence[Tensor],
    rg: Rg,
    groups: Sequence[Sequence[int]] | None = None,
) -> list[Tensor]:
    """lambda_1 g_r + lambda_2 (g_f - min(0, g_f.g_r) / g_r.g_r g_r), in the place of `synthetic`.

    Gradients are one tensor a parameter, and those of the whole batch: added up over all parts and
    processes first, since a mean of projections is no projection of means. Both dot products are
    over all parameters, or by `groups` of their positions (a unit's each) over each alone. Where
    the gradients agree, or the real one is 0, nothing is taken away. Nothing waits for the device.
    """
    for group in [range(len(real))] if groups is None else groups:
        products = [_products(*_flattened_alike(synthetic[index], real[index])) for index in group]
        product, length = torch.stack(products).sum(dim=0)
        against = product.clamp_max(0) / length.clamp_min(torch.finfo(length.dtype).tiny)
        weight = rg.lambda_1 - rg.lambda_2 * against
        for index in group:
            if rg.lambda_2 != 1:
                synthetic[index].mul_(rg.lambda_2)
            synthetic[index].addcmul_(real[index], weight)
    return list(synthetic)


def _flattened_alike(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both as vectors, in the order in which `one` lies in memory: flattening copies otherwise."""
    order = sorted(range(one.ndim), key=one.stride, reverse=True)
    return one.permute(order).reshape(-1), other.permute(order).reshape(-1)


def _products(synthetic: Tensor, real: Tensor) -> Tensor:
    """g_f.g_r and g_r.g_r, (2,)."""
    return torch.stack([torch.dot(synthetic, real), torch.dot(real, real)])
