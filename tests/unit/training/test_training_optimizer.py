import itertools
import math

import pytest

from synthgap.training.optimizer import LearningRateSchedule


@pytest.fixture
def schedule():
    return LearningRateSchedule(peak_lr=0.1, final_lr=1e-6, warmup_steps=10, total_steps=100)


def test_warm_up_is_linear_from_0_to_the_peak(schedule):
    rates = [schedule.learning_rate(step) for step in range(10)]
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(0.1)
    steps = [after - before for before, after in itertools.pairwise(rates)]
    assert max(steps) == pytest.approx(min(steps))


def test_cosine_is_equation_4(schedule):
    for i in (0, 17, 89):
        expected = 1e-6 + 0.5 * (0.1 - 1e-6) * (1 + math.cos(math.pi * i / 90))
        assert schedule.learning_rate(10 + i) == pytest.approx(expected)
    assert schedule.learning_rate(99) > 1e-6


def test_the_peak_scales_with_the_batch(training):
    made = LearningRateSchedule.of(training(base_lr=0.1), batch_size=64, steps_per_epoch=5)
    assert made.peak_lr == pytest.approx(0.025)
    assert made.warmup_steps == 5
    assert made.total_steps == 15
    fixed = LearningRateSchedule.of(
        training(base_lr=1e-4, lr_scaling="none"), batch_size=128, steps_per_epoch=5
    )
    assert fixed.peak_lr == 1e-4


@pytest.mark.parametrize(("shape", "middle"), [("linear", 0.05), ("constant", 0.1)])
def test_other_shapes_go_from_the_peak_to_the_end(shape, middle):
    schedule = LearningRateSchedule(0.1, 0.0, 0, 100, shape)
    assert schedule.learning_rate(0) == pytest.approx(0.1)
    assert schedule.learning_rate(50) == pytest.approx(middle)
