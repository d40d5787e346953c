"""How a generator's tokenizers read a prompt: how many tokens, what is cut off, what is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthgap.errors import GeneratorError
from synthgap.generation.libraries import Tokenizer, quiet
from synthgap.generation.pipelines.provenance import INDEX
from synthgap.generation.prompts.tokenizer import marks_unknown
from synthgap.jobs import Artifacts
from synthgap.jobs.pinned import found
from synthgap.params.sections import Generator, Rival

NEEDED = (INDEX, "tokenizer*/*")  # what is fetched of a pin on the hub
_ENDLESS = 1_000_000  # lengths above it are transformers' way to say that there is no limit


@dataclass(frozen=True)
class TokenCount:
    """One prompt, read; `unread` is what is cut off its end, `unknown` words without a token."""

    tokens: int
    unread: str
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class PromptReader:
    """One tokenizer of a generator; `limit` tokens are read, those that frame a prompt included."""

    name: str  # of its folder: tokenizer, tokenizer_2
    limit: int | None
    tokenizer: Tokenizer

    def __call__(self, prompt: str) -> TokenCount:
        """Read one prompt."""
        tokens = len(self.tokenizer(prompt).input_ids)
        cut = 0 if self.limit is None else max(0, tokens - self.limit)
        return TokenCount(tokens, self._end(prompt, cut), self._unknown(prompt))

    def _end(self, prompt: str, count: int) -> str:
        """The text of the last `count` tokens, as it is written where the tokenizer knows."""
        if not count:
            return ""
        if not self.tokenizer.is_fast:
            ids = self.tokenizer(prompt, add_special_tokens=False).input_ids
            return str(self.tokenizer.decode(ids[-count:])).strip()
        read = self.tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
        return prompt[read.offset_mapping[-count][0] :].strip()

    def _unknown(self, prompt: str) -> tuple[str, ...]:
        if not marks_unknown(self.tokenizer):
            return ()
        number = self.tokenizer.unk_token_id
        return tuple(
            word
            for word in dict.fromkeys(prompt.split())
            if number in self.tokenizer(word, add_special_tokens=False).input_ids
        )


def prompt_readers(folder: Path) -> tuple[PromptReader, ...]:
    """The tokenizers of a pipeline folder, one for each of its text encoders; without network.

    Raises:
        GeneratorError: one cannot be opened.
    """
    return tuple(_reader(part) for part in sorted(folder.glob("tokenizer*")) if part.is_dir())


def pipeline_of(source: Generator | Rival, artifacts: Artifacts, made: Path) -> Path | None:
    """Where a generator's files lie, or None before its stage has `made` them.

    Of a pin on the hub only what `NEEDED` names is fetched.

    Raises:
        GeneratorError: the pin cannot be had.
    """
    if source.pin is None:
        return made if (made / INDEX).is_file() else None
    place = "generator.pin" if isinstance(source, Generator) else f"rivals.{made.name}.pin"
    folder, _ = found(
        source.pin.location,
        source.pin.revision,
        root=artifacts.root,
        patterns=NEEDED,
        place=place,
    )
    return folder


def _reader(folder: Path) -> PromptReader:
    from transformers import AutoTokenizer

    quiet("transformers")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"{folder}: transformers cannot open this tokenizer ({reason}); expected that of a "
            "whole pipeline folder, restore it or rerun `dvc repro generator`"
        ) from error
    limit = int(tokenizer.model_max_length)
    return PromptReader(folder.name, limit if limit < _ENDLESS else None, tokenizer)
