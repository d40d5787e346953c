"""Captions that a local language model makes of a class's words: an opening, continued."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from synthgap.generation.authoring.borrowed import LocalModel, opening, settled, weights
from synthgap.generation.libraries import quiet
from synthgap.generation.prompts.wording import ClassWords, filled
from synthgap.jobs.device import torch_threads
from synthgap.params.sections import Runtime
from synthgap.seeding import derived_seed

OPENING = "a photo of {class}"
ASK = "Write one caption of a photo, in one sentence: concrete, and unlike other captions."
ROUNDS = 8  # of sampling, when captions repeat
_END = re.compile(r"\n|(?<=[.!?])(?=\s|$)")


@dataclass(frozen=True)
class Expansion:
    """How captions are drawn: `opening` is a template, `top_p` the share of words considered."""

    opening: str
    per_class: int
    seed: int
    max_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class _Writer:
    tokenizer: Any
    network: Any
    expansion: Expansion


def expand_words(
    borrowed: LocalModel, words: Mapping[str, ClassWords], runtime: Runtime, expansion: Expansion
) -> Iterator[dict[str, Any]]:
    """Yield rows for a caption file: `per_class` different captions of each class folder.

    Each begins with the opening, which names the class, and ends with its sentence or line. A
    model that keeps repeating itself gives fewer, but at least one.

    Raises:
        GeneratorError: the model is no causal language model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet("transformers")
    with opening(borrowed, "a causal language model") as options:
        writer = _Writer(
            AutoTokenizer.from_pretrained(borrowed.folder, **options),
            settled(
                AutoModelForCausalLM.from_pretrained(
                    borrowed.folder, **options, **weights(runtime)
                ),
                runtime,
            ),
            expansion,
        )
    for name, class_words in words.items():
        begun = filled(expansion.opening, class_words)
        with torch_threads(runtime.threads), opening(borrowed, "a causal language model"):
            captions = _captions(writer, name, begun)
        for caption, seed in captions.items():
            yield {
                "class": name,
                "caption": caption,
                "opening": begun,
                "seed": seed,
                "temperature": expansion.temperature,
                "top_p": expansion.top_p,
                **borrowed.origin(),
                "torch": torch.__version__,
            }


def _captions(writer: _Writer, name: str, begun: str) -> dict[str, int]:
    """Different captions of one class, with the seed of the round that gave each."""
    wanted = writer.expansion.per_class
    captions: dict[str, int] = {}
    for round_number in range(ROUNDS):
        seed = derived_seed(writer.expansion.seed, "captions", name, round_number)
        for text in _continued(writer, begun, seed):
            captions.setdefault(f"{begun}{_first(text)}", seed)
        if len(captions) >= wanted:
            break
    return dict(list(captions.items())[:wanted])


def _first(text: str) -> str:
    """The first line or sentence of a continuation, without the blanks that end it."""
    start = text[: len(text) - len(text.lstrip())]
    body = _END.split(text.lstrip(), maxsplit=1)[0]
    words = " ".join(body.split())
    return f" {words}" if words and start else words


def _continued(writer: _Writer, begun: str, seed: int) -> list[str]:
    ids = _prompt(writer.tokenizer, begun).to(writer.network.device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        drawn = writer.network.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=writer.expansion.temperature,
            top_p=writer.expansion.top_p,
            top_k=0,
            max_new_tokens=writer.expansion.max_tokens,
            num_return_sequences=writer.expansion.per_class,
            pad_token_id=_padding(writer.tokenizer),
        )
    head = writer.tokenizer.decode(ids[0], skip_special_tokens=True)
    texts = writer.tokenizer.batch_decode(drawn, skip_special_tokens=True)
    return [text[len(head) :] if text.startswith(head) else "" for text in texts]


def _prompt(tokenizer: Any, begun: str) -> torch.Tensor:  # noqa: ANN401 - transformers is untyped
    """Token ids (1, length): the opening, as a chat model's own words where it is one."""
    if not getattr(tokenizer, "chat_template", None):
        ids: torch.Tensor = tokenizer(begun, return_tensors="pt").input_ids
        return ids
    talk = [{"role": "user", "content": ASK}, {"role": "assistant", "content": begun}]
    text = tokenizer.apply_chat_template(talk, tokenize=False, continue_final_message=True)
    chat: torch.Tensor = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    return chat


def _padding(tokenizer: Any) -> int | None:  # noqa: ANN401 - transformers is untyped
    number: int | None = tokenizer.pad_token_id
    return tokenizer.eos_token_id if number is None else number
