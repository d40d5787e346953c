"""The other side: multi-crop training as it is usually written, with torchvision, PIL and torch."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from synthgap.params.sections import Crops, Training
from synthgap.training.labelled_images import IMAGENET

REFERENCE_PX = 224  # where the blur's radius is 0.1 to 2 px


class Blur:
    """PIL's Gaussian blur, its radius in proportion to the image."""

    def __init__(self, size_px: int) -> None:
        self.radii = (0.1 * size_px / REFERENCE_PX, 2.0 * size_px / REFERENCE_PX)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Blur one image."""
        return image.filter(ImageFilter.GaussianBlur(random.uniform(*self.radii)))  # noqa: S311


def one_crop(crops: Crops, reference_px: int) -> transforms.Compose:
    """The transforms of one crop, in the order of trex."""
    jitter = transforms.ColorJitter(crops.brightness, crops.contrast, crops.saturation, crops.hue)
    bicubic = transforms.InterpolationMode.BICUBIC
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(crops.size, crops.scale, interpolation=bicubic),
            transforms.RandomHorizontalFlip(crops.flip),
            transforms.RandomApply([jitter], crops.jitter),
            transforms.RandomGrayscale(crops.grayscale),
            transforms.RandomApply([Blur(reference_px)], crops.blur),
            transforms.RandomSolarize(128, crops.solarise),
            transforms.ToTensor(),
            transforms.Normalize(*IMAGENET),
        ]
    )


class MultiCrop:
    """All crops of one image."""

    def __init__(self, training: Training) -> None:
        groups = (training.global_crops, training.local_crops)
        size_px = training.global_crops.size
        self.crops = [one_crop(crops, size_px) for crops in groups for _ in range(crops.count)]

    def __call__(self, image: Image.Image) -> list[Tensor]:
        """Cut them, one after the other."""
        return [crop(image) for crop in self.crops]


@dataclass(frozen=True)
class Data:
    """Where the images are, and how many processes read them."""

    train: Path
    test: Path
    workers: int


def loader_of(data: Data, training: Training) -> DataLoader[list[Tensor]]:
    """Shuffled batches of crops."""
    images = ImageFolder(data.train, MultiCrop(training))
    return DataLoader(
        images,
        training.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=data.workers,
        persistent_workers=data.workers > 0,
    )


def optimizer_of(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """SGD with weight decay on parameters of more than one dimension."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=training.base_lr, momentum=training.momentum)


def train(model: nn.Module, data: Data, training: Training) -> list[float]:
    """Top-1 in percent on the test images after every epoch; lr by iteration, cosine to ~0."""
    loader = loader_of(data, training)
    plain = transforms.Compose([transforms.ToTensor(), transforms.Normalize(*IMAGENET)])
    tests = DataLoader(ImageFolder(data.test, plain), 512, num_workers=data.workers)
    optimizer = optimizer_of(model, training)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, training.epochs * len(loader), eta_min=training.final_lr
    )
    top1 = []
    for _ in range(training.epochs):
        model.train()
        for crops, labels in loader:
            loss = loss_of(model, crops, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        top1.append(score(model, tests))
    return top1


def loss_of(model: nn.Module, crops: list[Tensor], labels: Tensor) -> Tensor:
    """Cross-entropy of all crops with equal weight; one pass a size."""
    logits = torch.cat([model(crops[0]), model(torch.cat(crops[1:]))])
    return nn.functional.cross_entropy(logits, labels.repeat(len(crops)))


@torch.no_grad()
def score(model: nn.Module, tests: DataLoader[list[Tensor]]) -> float:
    """Top-1 in percent."""
    model.eval()
    right = sum(int((model(images).argmax(dim=1) == labels).sum()) for images, labels in tests)
    return 100 * right / len(tests.dataset)  # type: ignore[arg-type] # ImageFolder has a length


def seconds_of_steps(model: nn.Module, data: Data, training: Training, steps: int) -> float:
    """Time of so many steps after the first, which starts the workers."""
    optimizer = optimizer_of(model, training)
    model.train()
    started = 0.0
    for number, (crops, labels) in enumerate(loader_of(data, training)):
        loss_of(model, crops, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if number == 0:
            started = time.perf_counter()
        if number == steps:
            break
    return time.perf_counter() - started
