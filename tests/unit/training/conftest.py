import numpy as np
import pytest
from accelerate import Accelerator

from synthgap.models.build import build_student
from synthgap.params.sections import AugMix, Crops, PixMix, Student, Training
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.train_spec import TrainSpec

PLAIN = {
    "flip": 0.0,
    "jitter": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "hue": 0.0,
    "grayscale": 0.0,
    "blur": 0.0,
    "solarise": 0.0,
}


@pytest.fixture
def crops():
    def make(count=1, size=16, scale=(0.5, 1.0), **changed):
        return Crops(count, size, scale, **{**PLAIN, **changed})

    return make


@pytest.fixture
def training(crops):
    def make(**changed):
        settings = {
            "epochs": 3,
            "batch_size": 10,
            "accumulate": 1,
            "optimizer": "sgd",
            "base_lr": 1.0,
            "lr_scaling": "batch",
            "final_lr": 1e-6,
            "warmup_epochs": 1,
            "schedule": "cosine",
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "last_epochs": 2,
            "frozen_bn_stats": "eval",
            "running_stats": "all_crops",
            "scoring_stats": "running",
            "normalise": "imagenet",
            "supervision": "labels",
            "embedding_weight": 1.0,
            "augmentation": "dino",
            "global_crops": crops(),
            "local_crops": crops(count=2, size=8, scale=(0.2, 0.5)),
            "augmix": AugMix(3, 3, -1, 1.0, 0.0),
            "pixmix": PixMix("fractals", 4, 3, 2, 3.0),
        }
        return Training(**{**settings, **changed})

    return make


@pytest.fixture
def labelled():
    """40 images of two classes that brightness tells apart."""
    draw = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = draw.integers(0, 100, (40, 16, 16, 3)) + 120 * labels[:, None, None, None]
    return LabelledImages.of(pixels.astype(np.uint8), labels)


@pytest.fixture
def student():
    def make(seed=1):
        options = {"channels": (8, 8, 8, 8), "stem_width": 8}
        spec = Student("resnet10t", options, "imagenet", "random", None, "cosine", 0.1)
        return build_student(spec, 2, seed=seed)

    return make


@pytest.fixture
def train_spec(labelled, training):
    def make(seed=1, **changed):
        return TrainSpec("lesson", labelled, training(**changed), seed, {"val": labelled})

    return make


@pytest.fixture
def accelerator():
    return Accelerator(cpu=True)
