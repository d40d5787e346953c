"""Images/s of stage `synthesize` against the way that diffusers' documentation shows.

Both make 37 classes x 20 images of 16 px with the embedded generator's shape on two cores, from
opening the pipeline to the last file, with the same seeds; theirs is one `pipe(prompt)` call a
class, with torch's threads on both cores or on one, ours the stage itself, and the ratio is to the
faster of theirs. Each turn is a fresh process that has imported everything before its clock starts.

    python benchmarks/synthesis.py [--quick] [--rounds 5]

With `--gpu`: a pipeline of the shape of Stable Diffusion 1.4 at 512 x 384 px, 50 steps, guidance
2.0, bf16, on a GPU (`--toy`: a small one anywhere), with its share of the chip's peak.

    PYTHONPATH=src python benchmarks/synthesis.py --gpu [--batch 16] [--images 64] [--toy]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import arguments, in_turns, keep, quotients, report, spread

ROOT = Path(__file__).resolve().parents[1]
CLASSES, PER_CLASS, PX, SCALE, STEPS, SEED = 37, 20, 16, 2.0, 25, 1
TARGET, TARGET_GPU = 1.5, 7.0
PEAK_BF16 = {"H100": 989e12, "H200": 989e12}  # FLOP/s, dense, by data sheets
SIDES = {"stock": 2, "stock on one thread": 1, "ours": 2}  # and threads, or processes of one thread


def params_of() -> Any:  # noqa: ANN401 - params are imported late
    """The digits' parameters."""
    from synthgap.params.reading import parse_params
    from synthgap.params.recipes import resolve

    return parse_params(resolve(ROOT / "recipes", "digits"), place="recipes/digits.yaml")


def prepare(root: Path) -> None:
    """Lay down generator and real set."""
    import stock

    from synthgap.jobs import Artifacts

    artifacts, classes = Artifacts(root, "bench"), stock.class_names(CLASSES)
    stock.real_set(artifacts, classes, per_class=PER_CLASS, px=PX)
    stock.embedded_generator(artifacts, params_of().generator, classes, image_size=PX)


def ours(root: Path, workers: int) -> float:
    """Seconds of the stage, with so many processes of one thread."""
    import diffusers

    from synthgap.generation.synthesis.synthesize import SynthesizeParams, synthesize
    from synthgap.jobs import Artifacts

    assert diffusers.StableDiffusionPipeline
    given = params_of()
    runtime = replace(given.runtime, workers=workers, device="cpu", precision="fp32", compile=False)
    section = replace(given.synthesize, steps=STEPS, width=PX, height=PX, count="as_train")
    prompts = replace(given.prompts, template="a photo of a {class}", classes=None)
    artifacts = Artifacts(root, "bench")
    shutil.rmtree(artifacts.image_set(f"g{SCALE}"), ignore_errors=True)
    shutil.rmtree(artifacts.work, ignore_errors=True)
    params = SynthesizeParams(SEED, runtime, given.data, prompts, section)
    started = time.perf_counter()
    synthesize(params, artifacts, image_set=f"g{SCALE}")
    return time.perf_counter() - started


def theirs(root: Path, threads: int) -> float:
    """Seconds of the stock way."""
    import stock
    import torch

    from synthgap.seeding import derived_seed

    torch.set_num_threads(threads)
    artifacts = stock.Artifacts(root, "bench")
    settings = {"guidance_scale": SCALE, "num_inference_steps": STEPS, "width": PX, "height": PX}
    shutil.rmtree(root / "stock", ignore_errors=True)
    started = time.perf_counter()
    pipeline = stock.opened(artifacts.generator, "cpu", torch.float32)
    for label, name in enumerate(stock.class_names(CLASSES)):
        seeds = [derived_seed(SEED, "synthesize", i * CLASSES + label) for i in range(PER_CLASS)]
        stock.sample_class(pipeline, root / "stock" / name, name, seeds, **settings)
    return time.perf_counter() - started


def turn(root: Path, side: str) -> float:
    """One side's seconds in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--root", str(root)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(ended.stdout.splitlines()[-1]))


def largest_difference(root: Path) -> int:
    """In grey levels, between the two sides' images."""
    from synthgap.data.image_set import ImageSet
    from synthgap.jobs import Artifacts

    made = ImageSet.read(Artifacts(root, "bench").image_set(f"g{SCALE}"))
    assert len(made) == CLASSES * PER_CLASS
    pairs = (
        (np.asarray(made.image(row)), np.asarray(Image.open(root / "stock" / path)))
        for row, path in enumerate(made.paths)
    )
    return max(int(np.abs(one.astype(int) - other).max()) for one, other in pairs)


def compare(given: argparse.Namespace) -> None:
    """Both sides in turns on the CPU."""
    rounds = 1 if given.quick else given.rounds
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root)
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for number in range(rounds + 1):
            for side in SIDES:
                seconds = turn(root, side)
                times[side] += [seconds] if number else []
        difference = largest_difference(root)
    count = CLASSES * PER_CLASS
    speeds = {side: [count / seconds for seconds in found] for side, found in times.items()}
    faster = [max(each) for each in zip(*list(speeds.values())[:2], strict=True)]
    ratio = quotients(speeds["ours"], faster)
    report(
        f"{CLASSES} x {PER_CLASS} images, end to end",
        ratio,
        f"at least {TARGET:g}",
        met=ratio["median"] >= TARGET,
    )
    images = {side: spread(found) for side, found in speeds.items()}
    for side, found in images.items():
        print(f"  {side}: {found['median']:.1f} images/s")
    print(f"  largest difference of a pixel: {difference} of 255")
    case = {"classes": CLASSES, "per_class": PER_CLASS, "px": PX, "steps": STEPS, "guidance": SCALE}
    found_all = {"case": case, "target": TARGET, "images_per_s": images, "ratio": ratio}
    keep(given, {**found_all, "largest_pixel_difference": difference})


def flop_of_image(pipeline: Any, width: int, height: int, steps: int) -> float:  # noqa: ANN401
    """Operations of one image: both branches of every step, and its decoding."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    like = {"device": pipeline.device, "dtype": pipeline.unet.dtype}
    latents = torch.zeros(2, 4, height // 8, width // 8, **like)
    text = torch.zeros(2, 77, pipeline.unet.config.cross_attention_dim, **like)
    totals = []
    for work in (
        lambda: pipeline.unet(latents, 1, encoder_hidden_states=text),
        lambda: pipeline.vae.decode(latents[:1]),
    ):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            work()
        totals.append(counter.get_total_flops())
    return float(steps * totals[0] + totals[1])


def on_gpu(given: argparse.Namespace) -> None:
    """Both sides in turns in one process, on a GPU if there is one."""
    import stock
    import torch

    from synthgap.generation.pipelines.opening import DTYPES

    cuda = torch.cuda.is_available()
    classes = stock.class_names(8)
    width, height, steps = (64, 48, 2) if given.toy else (512, 384, 50)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stock.stable_diffusion(folder / "pipeline", classes, toy=given.toy)
        pipeline = stock.opened(
            folder / "pipeline", "cuda" if cuda else "cpu", DTYPES["bf16" if cuda else "fp32"]
        )
        flop = flop_of_image(pipeline, width, height, steps)
        size = {"width": width, "height": height}
        sides: dict[str, Callable[[], object]] = {
            "stock": lambda: _stock_images(pipeline, folder, given, {**size, "steps": steps}),
            "ours": _our_images(folder, given, {**size, "steps": steps}, cuda=cuda),
        }
        times = in_turns(sides, 1 if given.quick or given.toy else given.rounds)
    speeds = {side: [given.images / one for one in found] for side, found in times.items()}
    rate = spread(speeds["ours"])
    device = torch.cuda.get_device_name() if cuda else "cpu"
    peak = next((flops for chip, flops in PEAK_BF16.items() if chip in device), None)
    share = None if peak is None else rate["median"] * flop / peak
    report("images/s", rate, f"at least {TARGET_GPU:g}", met=rate["median"] >= TARGET_GPU)
    print(f"  {flop / 1e12:.2f} TFLOP an image, share of peak {share}")
    found_all = {
        "case": {**size, "steps": steps, "guidance": SCALE, "batch": given.batch, "toy": given.toy},
        "images_per_s": {side: spread(found) for side, found in speeds.items()},
        "ratio": quotients(speeds["ours"], speeds["stock"]),
        "flop_of_image": flop,
        "share_of_peak": share,
    }
    given.quick = given.quick or given.toy
    keep(given, found_all, device=device)


def _stock_images(
    pipeline: Any,  # noqa: ANN401 - untyped in diffusers
    folder: Path,
    given: argparse.Namespace,
    size: dict[str, int],
) -> None:
    import stock

    settings = {"guidance_scale": SCALE, "num_inference_steps": size["steps"]}
    settings |= {"width": size["width"], "height": size["height"]}
    for start in range(0, given.images, given.batch):
        name = stock.class_names(8)[start // given.batch % 8]
        seeds = list(range(start, min(start + given.batch, given.images)))
        stock.sample_class(pipeline, folder / "stock" / name, name, seeds, **settings)


def _our_images(
    folder: Path, given: argparse.Namespace, size: dict[str, int], *, cuda: bool
) -> Callable[[], None]:
    import stock

    from synthgap.generation.pipelines.opening import open_sampler
    from synthgap.generation.pipelines.sampler import Request, SamplingSettings
    from synthgap.params.sections import Runtime

    classes = stock.class_names(8)
    runtime = Runtime(
        threads=1,
        workers=1,
        processes=1,
        sync_batch_norm=False,
        device="auto",
        precision="bf16" if cuda else "fp32",
        compile=cuda,
        checkpoint_every_epochs=1,
        checkpoint_every_steps=None,
    )
    settings = SamplingSettings(
        "", SCALE, size["steps"], None, size["width"], size["height"], given.batch, given.decode
    )
    prompts = [stock.prompt_of(name) for name in classes]
    sampler = open_sampler(folder / "pipeline", settings, runtime, classes=classes, prompts=prompts)

    def work() -> None:
        (folder / "ours").mkdir(exist_ok=True)
        for start in range(0, given.images, given.batch):
            numbers = range(start, min(start + given.batch, given.images))
            asked = [Request(k, prompts[k % 8], k % 8, classes[k % 8], k) for k in numbers]
            for number, pixels in zip(numbers, sampler(asked).pixels, strict=True):
                Image.fromarray(pixels).save(folder / "ours" / f"{number}.png", compress_level=0)

    return work


def main() -> None:
    """Measure, print, keep."""
    parser = arguments(__doc__, rounds=5, threads=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--gpu", action="store_true", help="the shape of Stable Diffusion 1.4")
    parser.add_argument("--toy", action="store_true", help="with --gpu: a small shape anywhere")
    parser.add_argument("--images", type=int, default=64, help="with --gpu: images a turn")
    parser.add_argument("--batch", type=int, default=16, help="with --gpu: images a forward pass")
    parser.add_argument("--decode", type=int, default=8, help="with --gpu: images a decoding pass")
    given = parser.parse_args()
    if given.side:
        side = ours if given.side == "ours" else theirs
        print(json.dumps(side(given.root, SIDES[given.side])))
    elif given.gpu:
        on_gpu(given)
    else:
        compare(given)


if __name__ == "__main__":
    main()
