"""Captions of real images by an image captioner (BLIP, GIT, a vision encoder-decoder)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from synthgap.data.image_set import ImageSet
from synthgap.generation.authoring.borrowed import LocalModel, opening, settled, weights
from synthgap.generation.libraries import quiet
from synthgap.jobs.device import torch_threads
from synthgap.params.sections import Runtime


def caption_images(
    borrowed: LocalModel, images: ImageSet, runtime: Runtime, *, batch: int, max_tokens: int
) -> Iterator[dict[str, Any]]:
    """Yield a row for a caption file for each image, in the set's order; most likely words first.

    Every forward pass has `batch` images, the last one padded, so that a caption depends on its
    image alone. An image for which the model finds no words yields no row.

    Raises:
        GeneratorError: the model is no image captioner.
        DataError: an image is not what its manifest says.
    """
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    quiet("transformers")
    with opening(borrowed, "an image captioner") as options:
        folder = borrowed.folder
        processor = AutoImageProcessor.from_pretrained(folder, **options)
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        network = AutoModelForImageTextToText.from_pretrained(folder, **options, **weights(runtime))
        network = settled(network, runtime)
    for start in range(0, len(images), batch):
        numbers = range(start, min(start + batch, len(images)))
        pictures = [images.image(number) for number in numbers]
        pictures += [pictures[-1]] * (batch - len(pictures))
        with torch_threads(runtime.threads), opening(borrowed, "an image captioner"):
            pixels = processor(images=pictures, return_tensors="pt").pixel_values
            ids = network.generate(
                pixel_values=pixels.to(network.device, network.dtype),
                max_new_tokens=max_tokens,
                do_sample=False,
            )
            texts = tokenizer.batch_decode(ids[: len(numbers)], skip_special_tokens=True)
        for number, text in zip(numbers, texts, strict=True):
            caption = " ".join(text.split())
            if caption:
                yield _row(borrowed, images, number, caption)


def _row(borrowed: LocalModel, images: ImageSet, number: int, caption: str) -> dict[str, Any]:
    return {
        "class": images.classes[images.labels[number]],
        "caption": caption,
        "image": images.paths[number],
        "image_sha256": images.sha256s[number],
        **borrowed.origin(),
        "torch": torch.__version__,
    }
