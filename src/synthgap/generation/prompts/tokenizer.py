"""What images are called: prompt templates, and a tokenizer made of their words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from synthgap.errors import GeneratorError
from synthgap.generation.libraries import Tokenizer
from synthgap.generation.prompts.wording import phrase

if TYPE_CHECKING:
    from torch import Tensor

BEGIN, END, UNKNOWN = "<|startoftext|>", "<|endoftext|>", "<|unknown|>"


def fill(template: str, class_name: str) -> str:
    """The template with the class's name in place of {class}; underscores become spaces."""
    return template.replace("{class}", phrase(class_name))


def make_tokenizer(captions: Mapping[str, str | Sequence[str]]) -> Tokenizer:
    """A word-level tokenizer that knows exactly the words of `captions` (class: one, or several).

    It frames and pads like CLIP's, to the length of the longest caption.

    Raises:
        GeneratorError: some caption of a class reads like one of another class, or is empty.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    texts = {
        name: [caption] if isinstance(caption, str) else caption
        for name, caption in captions.items()
    }
    every = [text for several in texts.values() for text in several]
    split = Whitespace()
    found = {word for text in every for word, _ in split.pre_tokenize_str(text)}
    words = [BEGIN, END, UNKNOWN, *sorted(found - {BEGIN, END, UNKNOWN})]
    vocabulary = {word: number for number, word in enumerate(words)}
    core = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    core.pre_tokenizer = split
    core.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, 0), (END, 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BEGIN,
        eos_token=END,
        unk_token=UNKNOWN,
        pad_token=END,
        model_max_length=max(len(core.encode(text).ids) for text in every),
    )
    _check_distinct(tokenizer, texts)
    return tokenizer


def tokens(tokenizer: Tokenizer, prompts: Sequence[str]) -> Tensor:
    """Token ids padded to the tokenizer's length: (num_prompts, length) int64."""
    ids: Tensor = tokenizer(
        list(prompts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids


def check_prompts(tokenizer: Tokenizer, prompts: Iterable[str], *, place: str) -> list[str]:
    """Return those prompts that the tokenizer would cut short.

    Raises:
        GeneratorError: a word is unknown to a tokenizer that has a token for unknown words alone.
    """
    too_long = []
    only_unknown = marks_unknown(tokenizer)
    for prompt in prompts:
        ids = tokenizer(prompt).input_ids
        if only_unknown and tokenizer.unk_token_id in ids:
            vocabulary = sorted(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens))
            raise GeneratorError(
                f"{place}: {prompt!r} has a word that this generator was not trained on; expected "
                f"only {vocabulary[:20]}{' ...' if len(vocabulary) > 20 else ''}, as in "
                "generator.denoiser.captions"
            )
        if len(ids) > tokenizer.model_max_length:
            too_long.append(prompt)
    return too_long


def marks_unknown(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer has a token for unknown words alone."""
    return tokenizer.unk_token not in (None, tokenizer.eos_token, tokenizer.pad_token)


def _check_distinct(tokenizer: Tokenizer, captions: Mapping[str, Sequence[str]]) -> None:
    names_by_ids: dict[tuple[int, ...], str] = {tuple(tokenizer("").input_ids): ""}
    for name, text in ((name, text) for name, several in captions.items() for text in several):
        other = names_by_ids.setdefault(tuple(tokenizer(text).input_ids), name)
        if other != name:
            same = f"like one of class {other!r}" if other else "like an empty prompt"
            raise GeneratorError(
                f"class {name!r}: its caption {text!r} reads {same}; expected captions that "
                "differ, rename the class folder or give it other words (prompts.classes)"
            )
