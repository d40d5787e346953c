"""Prompt schemes of FITYMI (CVPR 2023, section 3.2) and others: which words an image is asked by.

With c the class's name, h its hypernym, d its definition and b a scene: `name` is "c", `hypernym`
"c, h", `definition` "c, d", `background` "c, h inside b". `template` and `templates` are one's own,
`captions` whole sentences of a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from synthgap.errors import ParamsError
from synthgap.generation.prompts.class_words import class_words
from synthgap.generation.prompts.prompt_files import read_backgrounds, read_captions, read_templates
from synthgap.generation.prompts.wording import (
    ClassWords,
    filled,
    mentions,
    places,
    template_problems,
)
from synthgap.jobs import content_digest
from synthgap.params.sections import Prompts
from synthgap.seeding import stream

FIXED: Mapping[str, str] = {
    "name": "{class}",
    "hypernym": "{class}, {hypernym}",
    "definition": "{class}, {definition}",
    "background": "{class}, {hypernym} inside {background}",
}


@dataclass(frozen=True)
class PromptWriter:
    """The prompt of the i-th image of a class: a function of scheme, words, seed, class and i.

    All of a class's choices (template x scene, or captions) come before any comes again, in an
    order of its own in every pass, so a longer set begins with the prompts of a shorter one.
    """

    scheme: str
    seed: int
    words: Mapping[str, ClassWords]  # by class folder, in the order of labels
    templates: tuple[str, ...]
    scenes: tuple[str, ...]  # [""] where no template has a place for one
    captions: Mapping[str, tuple[str, ...]]  # by class folder; empty but for scheme `captions`

    def __call__(self, label: int, number: int) -> str:
        """The prompt of image `number` (from 0) of class `label`."""
        name = self.classes[label]
        count = self.choices(label)
        pass_number, place = divmod(number, count)
        choice = place if count == 1 else _order(self.seed, name, pass_number, count)[place]
        if self.captions:
            return self.captions[name][choice]
        template, scene = divmod(choice, len(self.scenes))
        return filled(self.templates[template], self.words[name], self.scenes[scene])

    def choices(self, label: int) -> int:
        """How many different things may be asked of a class."""
        if self.captions:
            return len(self.captions[self.classes[label]])
        return len(self.templates) * len(self.scenes)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class folders in the order of labels."""
        return tuple(self.words)

    @property
    def spoken(self) -> dict[str, str]:
        """What each class folder is called."""
        return {name: words.name for name, words in self.words.items()}

    @cached_property
    def names_class(self) -> bool:
        """Whether every prompt contains its class's name; captions need not."""
        return all(
            mentions(caption, self.words[name].name)
            for name, captions in self.captions.items()
            for caption in captions
        )

    @property
    def content(self) -> dict[str, Any]:
        """All that determines the prompts, as JSON."""
        used = places(self.templates)
        words = {
            name: {key: value for key, value in _plain(each).items() if key in used}
            for name, each in self.words.items()
        }
        content: dict[str, Any] = {"scheme": self.scheme, "seed": self.seed}
        if self.captions:
            captions = {name: list(texts) for name, texts in self.captions.items()}
            return {**content, "captions": captions}
        scenes = list(self.scenes) if "background" in used else None
        return {**content, "templates": list(self.templates), "scenes": scenes, "words": words}

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of `content`."""
        return content_digest(self.content)


def prompt_writer(
    scheme: str, prompts: Prompts, classes: Sequence[str], *, root: Path, seed: int
) -> PromptWriter:
    """The prompts of one scheme for these class folders; files of `prompts` lie below `root`.

    Raises:
        ParamsError: the scheme needs a file, a hypernym or a definition that is not there.
    """
    captions: dict[str, tuple[str, ...]] = {}
    if scheme == "captions":
        captions = read_captions(_file(prompts, "captions", scheme, root), classes)
    templates = _templates(scheme, prompts, root)
    needed = places(templates)
    scenes: tuple[str, ...] = ("",)
    if "background" in needed:
        scenes = read_backgrounds(_file(prompts, "backgrounds", scheme, root))
    words = class_words(prompts, classes, root, needed - {"class", "background"})
    return PromptWriter(scheme, seed, words, templates, scenes, captions)


def _templates(scheme: str, prompts: Prompts, root: Path) -> tuple[str, ...]:
    if scheme == "captions":
        return ()
    if scheme == "templates":
        return read_templates(_file(prompts, "templates", scheme, root))
    template = FIXED.get(scheme, prompts.template)
    for problem in template_problems(template):
        raise ParamsError(f"params.yaml, prompts.template: {template!r}: {problem}")
    return (template,)


def _file(prompts: Prompts, key: str, scheme: str, root: Path) -> Path:
    named: str | None = getattr(prompts, key)
    if named is None:
        raise ParamsError(
            f"params.yaml, prompts.{key}: null, but prompt scheme {scheme} needs it; expected the "
            "name of a file"
        )
    return root / Path(named).expanduser()


@lru_cache(maxsize=4096)
def _order(seed: int, name: str, pass_number: int, count: int) -> tuple[int, ...]:
    """In which order the choices of one class come in one pass."""
    return tuple(stream(seed, "prompts", name, pass_number).permutation(count).tolist())


def _plain(words: ClassWords) -> dict[str, str | None]:
    return {"class": words.name, "hypernym": words.hypernym, "definition": words.definition}
