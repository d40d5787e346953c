import torch

from synthgap.training.operations import AUGMIX_KINDS, KIND, draw_operations


def drawn(severity):
    generator = torch.Generator().manual_seed(0)
    return draw_operations((9000,), severity=severity, size_px=30, generator=generator)


def test_operations_are_equally_likely():
    counts = torch.bincount(drawn(3).kinds)[AUGMIX_KINDS]
    assert int((counts - 1000).abs().max()) < 150


def test_amounts_reach_what_the_severity_allows_and_both_ways():
    for severity, share in ((3, 0.3), (10, 1.0)):
        found = drawn(severity)
        for name, largest in (
            ("rotate", 30 * share),
            ("shear_x", 0.3 * share),
            ("translate_y", 10 * share),
        ):
            amounts = found.amounts[found.kinds == KIND[name]]
            assert float(amounts.max()) <= largest + 1e-6
            assert float(amounts.max()) > 0.8 * largest - 1
            assert abs(float(amounts.mean())) < 0.1 * largest
        posterised = found.amounts[found.kinds == KIND["posterize"]]
        assert float(posterised.min()) == 4 - int(4 * share) + (share == 1)
        assert float(posterised.max()) == 4
        solarised = found.amounts[found.kinds == KIND["solarize"]]
        assert 256 * (1 - share) <= float(solarised.min()) < 256 * (1 - share) + 12
