import torch

from synthgap.training.mixing_pictures import draw_fractals


def test_equal_seeds_give_equal_pictures_whatever_their_number():
    few, many = draw_fractals(2, 24, seed=3), draw_fractals(5, 24, seed=3)
    assert torch.equal(few, many[:2])
    assert not torch.equal(few, draw_fractals(2, 24, seed=4))


def test_pictures_differ_and_have_structure_at_every_size():
    for size in (16, 64):
        pictures = draw_fractals(8, size, seed=0)
        assert pictures.shape == (8, 3, size, size)
        assert pictures.dtype == torch.uint8
        values = pictures.float()
        assert float(values.std(dim=(1, 2, 3)).min()) > 15
        edges = (values[:, :, :, 1:] - values[:, :, :, :-1]).abs()
        assert float(edges.mean(dim=(1, 2, 3)).min()) > 1.5
        assert len({picture.numpy().tobytes() for picture in pictures}) == 8
