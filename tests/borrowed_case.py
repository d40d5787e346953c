"""Models of random weights that write captions, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthgap.data.image_set import ImageSet, write_manifest, write_png
from synthgap.generation.libraries import quiet
from synthgap.params.sections import Runtime

WORDS = ("a", "photo", "of", "0", "1", "red", "blue", "small", "thin", "line", "sky", ".")
BEGIN, END = "<s>", "</s>"
RUNTIME = Runtime(
    threads=1,
    workers=1,
    processes=1,
    sync_batch_norm=False,
    device="cpu",
    precision="fp32",
    compile=False,
    checkpoint_every_epochs=1,
    checkpoint_every_steps=None,
)


def tokenizer():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = (BEGIN, END, *WORDS)
    core = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, "a"))
    core.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=BEGIN, eos_token=END)


def save_writer(folder: Path, *, seed: int = 0) -> Path:
    """A GPT-2 of one layer."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    quiet("transformers")
    torch.manual_seed(seed)
    special = {"bos_token_id": 0, "eos_token_id": 1}
    size = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS) + 2, **size, **special)).save_pretrained(
        folder
    )
    tokenizer().save_pretrained(folder)
    return folder


def save_chatter(folder: Path) -> Path:
    """The same as a model that is talked to."""
    save_writer(folder)
    chatting = tokenizer()
    chatting.chat_template = "{% for turn in messages %}{{ turn.content + '\\n' }}{% endfor %}"
    chatting.save_pretrained(folder)
    return folder


def save_encoder_decoder(folder: Path) -> Path:
    """A ViT and a GPT-2 of one layer each, whose weights are large enough that images matter."""
    import torch
    from transformers import (
        GPT2Config,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessor,
    )

    quiet("transformers")
    torch.manual_seed(0)
    layer = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    vision = ViTConfig(**layer, hidden_size=16, image_size=16, patch_size=8, initializer_range=1.0)
    text = GPT2Config(
        vocab_size=len(WORDS) + 2, n_positions=64, n_embd=16, n_layer=1, n_head=2,
        initializer_range=1.0, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vision, text)
    model = VisionEncoderDecoderModel(config)
    model.generation_config.update(decoder_start_token_id=0, eos_token_id=1, pad_token_id=1)
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_captioner(folder: Path) -> Path:
    """A BLIP of one layer, whose weights are large enough that images matter."""
    import torch
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor

    quiet("transformers")
    torch.manual_seed(0)
    layer = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    layer |= {"hidden_size": 16, "initializer_range": 1.0, "projection_dim": 16}
    special = {"bos_token_id": 0, "eos_token_id": 1, "sep_token_id": 1, "pad_token_id": 1}
    text = {**layer, **special, "vocab_size": len(WORDS) + 2, "encoder_hidden_size": 16}
    vision = {**layer, "image_size": 16, "patch_size": 8}
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_images(root: Path, count: int) -> ImageSet:
    """Images of noise in the classes 0 and 1."""
    draw = np.random.default_rng(0)
    paths = [f"{number % 2}/{number}.png" for number in range(count)]
    pictures = [draw.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in paths]
    shas = [write_png(root / path, pixels) for path, pixels in zip(paths, pictures, strict=True)]
    columns = {"path": paths, "label": [n % 2 for n in range(count)], "sha256": shas}
    write_manifest(root, kind="real", classes=["0", "1"], columns=columns)
    return ImageSet.read(root)
