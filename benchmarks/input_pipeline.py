"""What an image costs before the student sees it: our input pipeline against torchvision's.

Both make the same normalised crops by the same parameters (trex's multi-crop, all its colours) on
one thread. Theirs decodes PNG or JPEG from memory and works image by image on PIL, in a DataLoader
without workers; ours takes batches from a uint8 store.

    python benchmarks/input_pipeline.py [--quick] [--rounds 7]
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from plain import one_crop
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from turns import arguments, in_turns, keep, quotients, report, spread

from synthgap.params.sections import Crops
from synthgap.seeding import stream, torch_stream
from synthgap.training.augmentation import MultiCrop
from synthgap.training.labelled_images import Normalisation

GLOBAL = Crops(1, 224, (0.25, 1.0), 0.5, 0.8, 0.4, 0.4, 0.2, 0.1, 0.2, 0.2, 0.2)
LOCAL = replace(GLOBAL, count=8, size=96, scale=(0.05, 0.25), blur=0.5, solarise=0.0)


@dataclass(frozen=True)
class Case:
    """One size of images, and how fast we want to be against PIL."""

    name: str
    stored_px: int
    file_format: str
    global_px: int
    local_px: int
    batch: int
    num_batches: int
    repeats: int  # of ours in a turn, which is over in milliseconds otherwise
    target: float

    @property
    def groups(self) -> tuple[Crops, Crops]:
        """Global and local crops."""
        return replace(GLOBAL, size=self.global_px), replace(LOCAL, size=self.local_px)

    @property
    def num_images(self) -> int:
        """Images of a pass."""
        return self.batch * self.num_batches


CASES = (
    Case("1x32 + 8x16 px, from 32 px PNG", 32, "PNG", 32, 16, 128, 4, 8, 5.0),
    Case("1x224 + 8x96 px, from 256 px JPEG", 256, "JPEG", 224, 96, 32, 2, 2, 1.0),
)


class Files(Dataset[list[Tensor]]):
    """Files in memory, opened and transformed one by one, as everybody writes it."""

    def __init__(self, files: list[bytes], views: list[Callable[[Image.Image], Tensor]]) -> None:
        self.files, self.views = files, views

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def __getitem__(self, index: int) -> list[Tensor]:
        """Decode one image and make its crops."""
        image = Image.open(io.BytesIO(self.files[index])).convert("RGB")
        return [view(image) for view in self.views]


def pictures(number: int, size_px: int) -> np.ndarray:
    """Smooth colours with some noise, uint8 (number, size_px, size_px, 3): as costly as photos."""
    draw = stream(0, "benchmark", size_px)
    made = []
    for _ in range(number):
        low = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(low.resize((size_px, size_px), Image.Resampling.BICUBIC))
        made.append(np.clip(smooth + draw.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8))
    return np.stack(made)


def encoded(pixels: np.ndarray, file_format: str) -> bytes:
    """One image as a file; JPEG of quality 90."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format, quality=90)
    return file.getvalue()


def on_pil(case: Case, pixels: np.ndarray) -> Callable[[], None]:
    """One pass of the plain DataLoader."""
    files = [encoded(image, case.file_format) for image in pixels]
    views = [one_crop(crops, case.global_px) for crops in case.groups for _ in range(crops.count)]
    loader = DataLoader(Files(files, views), batch_size=case.batch, shuffle=True)

    def run() -> None:
        for _ in loader:
            pass

    return run


def on_batches(case: Case, pixels: np.ndarray) -> Callable[[], None]:
    """`case.repeats` passes of ours."""
    policy, normalise = MultiCrop(*case.groups), Normalisation.imagenet()
    store = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    draw = torch_stream(0, "benchmark", case.name)

    def run() -> None:
        for _ in range(case.repeats):
            for indices in torch.randperm(len(store), generator=draw).split(case.batch):
                drawn = policy.draw(len(indices), case.stored_px, case.stored_px, draw)
                for crops in policy.apply(store[indices], drawn):
                    normalise(crops)

    return run


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Both sides in turns: images/s per core of each, and the ratio."""
    pixels = pictures(case.num_images, case.stored_px)
    sides = {"pil": on_pil(case, pixels), "ours": on_batches(case, pixels)}
    times = in_turns(sides, rounds)
    speeds = {
        "pil": [case.num_images / seconds for seconds in times["pil"]],
        "ours": [case.num_images * case.repeats / seconds for seconds in times["ours"]],
    }
    ratio = quotients(speeds["ours"], speeds["pil"])
    report(case.name, ratio, f"at least {case.target:g}", met=ratio["median"] >= case.target)
    images = {name: spread(found) for name, found in speeds.items()}
    for name, found in images.items():
        print(f"  {name}: {found['median']:.0f} images/s per core")
    return {**asdict(case), "images_per_s": images, "ratio": ratio}


def main() -> None:
    """Measure, print, keep."""
    given = arguments(__doc__, rounds=7, threads=1).parse_args()
    torch.set_num_threads(given.threads)
    random.seed(0)
    torch.manual_seed(0)
    found = [measure(case, 2 if given.quick else given.rounds) for case in CASES]
    keep(given, {"cases": found})


if __name__ == "__main__":
    main()
