"""Laws that every generator keeps, whatever its family: a new family is tested by standing here."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_pipelines import BY_IMAGE, CLASSES, LABELLED, PROMPTS, SIZE_PX, UNLABELLED

from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.pipelines.opening import FAMILIES, open_pipeline, open_sampler
from synthgap.generation.pipelines.provenance import pipeline_class
from synthgap.generation.pipelines.sampler import Request, SamplingSettings
from synthgap.generation.pipelines.schedulers import odd_arrays
from synthgap.generation.pipelines.without_text import class_numbers
from synthgap.params.sections import Runtime

RUNTIME = Runtime(1, 1, 1, False, "cpu", "fp32", False, 1, None)
BATCH = 4
SETTINGS = SamplingSettings(
    negative_prompt="",
    guidance_scale=5.0,
    steps=3,
    scheduler=None,
    width=SIZE_PX,
    height=SIZE_PX,
    compute_batch=BATCH,
    decode_batch=3,
)
KINDS = (*LABELLED, *UNLABELLED, *BY_IMAGE)
SAMPLED = tuple(kind for kind in KINDS if kind not in ("folder", "flat"))
GUIDED = ("sd1", "sd2", "sdxl", "ldm", "dit", "unclip")
SCHEDULED = tuple(kind for kind in SAMPLED if kind != "ldm")  # which brings its own loop


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def opened(tiny, kind, **changes):
    settings = replace(SETTINGS, **changes)
    return open_sampler(tiny[kind], settings, RUNTIME, classes=CLASSES, prompts=PROMPTS)


def request_of(number, **changes):
    label = number % len(CLASSES)
    colour = np.full((SIZE_PX, SIZE_PX, 3), 40 * number % 256, dtype=np.uint8)
    asked = Request(
        seed=100 + number,
        prompt=PROMPTS[label],
        label=label,
        class_name=CLASSES[label],
        number=number,
        image=colour,
    )
    return replace(asked, **changes)


def drawn(sampler, requests):
    return sampler(requests).pixels


def test_an_image_is_a_function_of_its_request_alone(tiny, kind):
    sampler = opened(tiny, kind)
    asked = [request_of(number) for number in range(7)]
    whole = [*drawn(sampler, asked[:4]), *drawn(sampler, asked[4:])]
    order = [5, 0, 6, 3, 1, 2, 4]
    other = opened(tiny, kind)  # another process would open it anew
    for group in (order[:1], order[1:4], order[4:]):
        for number, pixels in zip(group, drawn(other, [asked[n] for n in group]), strict=True):
            assert np.array_equal(pixels, whole[number]), number


def test_images_have_the_asked_size_and_are_uint8(tiny, kind):
    sampler = opened(tiny, kind)
    sampled = sampler([request_of(0), request_of(1)])
    assert sampler.size_px == (SIZE_PX, SIZE_PX)
    assert sampled.pixels.shape == (2, SIZE_PX, SIZE_PX, 3)
    assert sampled.pixels.dtype == np.uint8
    assert sampled.unsafe is None
    assert sampler.knows_classes == (kind not in UNLABELLED)
    assert sampler.needs_images == (kind in BY_IMAGE)


@pytest.mark.parametrize("kind", SAMPLED)
def test_another_seed_is_another_image(tiny, kind):
    first, second = drawn(opened(tiny, kind), [request_of(0), request_of(0, seed=1)])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", GUIDED)
def test_what_is_asked_for_matters(tiny, kind):
    asked = request_of(0)
    other = replace(request_of(1), seed=asked.seed, number=asked.number)
    first, second = drawn(opened(tiny, kind), [asked, other])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", GUIDED)
def test_guidance_matters_and_its_branch_is_not_computed_in_vain(tiny, kind, monkeypatch):
    batch_sizes = []
    forward = torch.nn.Module.__call__

    def watched(module, *args, **others):
        if type(module).__name__ in ("UNet2DConditionModel", "DiTTransformer2DModel"):
            batch_sizes.append(len(args[0]))
        return forward(module, *args, **others)

    asked = [request_of(0), request_of(1)]
    monkeypatch.setattr(torch.nn.Module, "__call__", watched)
    guided = drawn(opened(tiny, kind), asked)
    assert set(batch_sizes) == {2 * BATCH}
    batch_sizes.clear()
    free = drawn(opened(tiny, kind, guidance_scale=1.0), asked)
    assert set(batch_sizes) == {BATCH}
    assert not np.array_equal(guided, free)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_a_negative_prompt_matters_only_with_guidance(tiny, kind):
    asked = [request_of(0)]
    negative = {"negative_prompt": PROMPTS[1]}
    plain, against = (drawn(opened(tiny, kind, **more), asked) for more in ({}, negative))
    assert not np.array_equal(plain, against)
    free = {"guidance_scale": 1.0}
    assert np.array_equal(
        drawn(opened(tiny, kind, **free), asked),
        drawn(opened(tiny, kind, **free, **negative), asked),
    )


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl", "ldm"])
def test_images_are_those_of_the_pipelines_own_call(tiny, kind):
    pipeline = open_pipeline(tiny[kind], RUNTIME)
    asked = [request_of(number) for number in range(BATCH)]
    with odd_arrays():
        theirs = pipeline(
            prompt=[one.prompt for one in asked],
            generator=[torch.Generator().manual_seed(one.seed) for one in asked],
            guidance_scale=SETTINGS.guidance_scale,
            num_inference_steps=SETTINGS.steps,
            width=SIZE_PX,
            height=SIZE_PX,
            output_type="np",
        ).images
    ours = drawn(opened(tiny, kind, decode_batch=BATCH), asked)
    assert np.abs(ours.astype(int) - (theirs * 255).round()).max() <= 1


def test_a_transformer_draws_what_its_pipelines_own_call_does(tiny):
    pipeline = open_pipeline(tiny["dit"], RUNTIME)
    asked = [request_of(number) for number in range(BATCH)]
    theirs = pipeline(
        class_labels=pipeline.get_label_ids(["cat", "snow leopard"] * 2),
        generator=[torch.Generator().manual_seed(one.seed) for one in asked],
        guidance_scale=SETTINGS.guidance_scale,
        num_inference_steps=SETTINGS.steps,
        output_type="np",
    ).images
    assert np.array_equal(
        drawn(opened(tiny, "dit", decode_batch=BATCH), asked), (theirs * 255).round()
    )


def test_an_unconditional_pipeline_draws_what_its_own_call_does(tiny):
    pipeline = open_pipeline(tiny["ddpm"], RUNTIME)
    asked = [request_of(number) for number in range(BATCH)]
    theirs = pipeline(
        batch_size=BATCH,
        generator=[torch.Generator().manual_seed(one.seed) for one in asked],
        num_inference_steps=SETTINGS.steps,
        output_type="np",
    ).images
    assert np.array_equal(drawn(opened(tiny, "ddpm"), asked), (theirs * 255).round())


@pytest.mark.parametrize("kind", SCHEDULED)
@pytest.mark.parametrize("scheduler", ["ddpm", "euler_ancestral", "dpmsolver++", "unipc"])
def test_any_scheduler_keeps_the_law(tiny, kind, scheduler):
    sampler = opened(tiny, kind, scheduler=scheduler)
    asked = [request_of(number) for number in range(3)]
    whole = drawn(sampler, asked)
    assert np.array_equal(drawn(sampler, asked[1:2])[0], whole[1])
    if kind != "ddpm":
        assert not np.array_equal(whole, drawn(opened(tiny, kind), asked))


def test_a_pipeline_that_draws_from_the_global_state_is_refused(tiny):
    sampler = opened(tiny, "ldm", scheduler="ddpm")
    with pytest.raises(GeneratorError, match=r"set synthesize\.scheduler, e\.g\. to ddim"):
        sampler([request_of(0)])


def test_a_scheduler_that_nobody_knows_is_refused(tiny):
    with pytest.raises(GeneratorError, match=r"'magic', expected null .* ddim, ddpm,"):
        opened(tiny, "sd1", scheduler="magic")


def test_a_scheduler_that_does_not_suit_is_refused(tiny, tmp_path):
    from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler

    pipeline = DiffusionPipeline.from_pretrained(tiny["dit"])
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler()
    pipeline.save_pretrained(tmp_path / "flow")
    with pytest.raises(GeneratorError, match=r"ddim, which does not suit .* expected null$"):
        opened({"flow": tmp_path / "flow"}, "flow", scheduler="ddim")


def test_every_family_of_the_mapping_stands_here_or_shares_its_code(tiny):
    there = {pipeline_class(tiny[kind]) for kind in SAMPLED}
    assert set(FAMILIES) - there == {"DDIMPipeline"}
    assert "LDMTextToImagePipeline" in there - set(FAMILIES)


def test_a_safety_checker_is_asked_and_blackens_nothing(tiny):
    asked = [request_of(0), request_of(1)]
    sampled = opened(tiny, "sd1", safety=True)(asked)
    assert sampled.unsafe.tolist() == [True, True]
    assert np.array_equal(sampled.pixels, drawn(opened(tiny, "sd1"), asked))


def test_without_a_safety_checker_there_is_nothing_to_ask(tiny):
    with pytest.raises(GeneratorError, match=r"has no safety_checker"):
        opened(tiny, "sd2", safety=True)


def test_a_size_that_the_networks_cannot_draw_is_refused(tiny):
    with pytest.raises(ParamsError, match=r"synthesize\.width: 20, expected a multiple of 8 px"):
        opened(tiny, "sd1", width=20)


def test_half_precision_that_overflows_is_no_black_image(tiny, monkeypatch):
    from diffusers import AutoencoderKL

    sampler = opened(tiny, "sd1")
    decode = AutoencoderKL.decode

    def overflowed(*args, **others):
        found = decode(*args, **others)
        found.sample[0, 0, 0, 0] = float("nan")
        return found

    monkeypatch.setattr(AutoencoderKL, "decode", overflowed)
    with pytest.raises(GeneratorError, match="not finite"):
        sampler([request_of(0)])


def test_unclip_without_an_image_says_where_it_belongs(tiny):
    with pytest.raises(GeneratorError, match=r"a request brings none"):
        opened(tiny, "unclip")([request_of(0, image=None)])


@pytest.mark.parametrize(
    ("names", "num_classes", "classes", "numbers"),
    [
        ({"tabby": 3, "Cat": 3, "snow leopard": 5}, 1000, ["snow_leopard", "cat"], [5, 3]),
        ({}, 1000, ["207", "9"], [207, 9]),
        ({}, 2, ["ant", "bee"], [0, 1]),
        ({"a": 0, "b": 1}, 2, ["n01", "n02"], [0, 1]),
    ],
)
def test_classes_are_found_by_name_number_or_order(names, num_classes, classes, numbers):
    assert class_numbers(names, num_classes, classes) == numbers


def test_a_class_that_is_not_found_is_named(tiny):
    with pytest.raises(GeneratorError, match=r"class 'dog' and 0 more: .* one of its 4 names"):
        open_sampler(tiny["dit"], SETTINGS, RUNTIME, classes=["cat", "dog", "cat"], prompts=())
    with pytest.raises(GeneratorError, match=r"a number below 3, since it has no names"):
        class_numbers({}, 3, ["ant", "bee"])


def test_an_unknown_word_is_refused_where_it_is_sent(tiny):
    with pytest.raises(GeneratorError, match=r"'a dog' has a word"):
        open_sampler(tiny["sd1"], SETTINGS, RUNTIME, classes=CLASSES, prompts=["a dog"])


def test_files_are_taken_in_order_and_resized(tiny, tmp_path):
    from PIL import Image

    folder = tiny["folder"] / CLASSES[1]
    expected = np.asarray(Image.open(sorted(folder.iterdir())[2]))
    (pixels,) = drawn(opened(tiny, "folder"), [request_of(5)])  # the third of class 1
    assert np.array_equal(pixels, expected)
    wide = opened(tiny, "folder", width=24, height=8)
    assert drawn(wide, [request_of(0)]).shape == (1, 8, 24, 3)


def test_too_few_files_are_a_clear_stop(tiny):
    with pytest.raises(GeneratorError, match=r"cat: 40 images, but number 40 \(from 0\)"):
        opened(tiny, "folder")([request_of(80)])
    with pytest.raises(GeneratorError, match=r"40 images, but number 40"):
        opened(tiny, "flat")([request_of(40)])


def test_a_folder_that_lacks_a_class_is_refused(tiny):
    with pytest.raises(GeneratorError, match=r"dog: no images"):
        open_sampler(tiny["folder"], SETTINGS, RUNTIME, classes=["cat", "dog"], prompts=())
