"""What the classes are called: by a file of one's own, by WordNet, or by their folders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthgap.errors import ParamsError
from synthgap.generation.prompts.prompt_files import text_of
from synthgap.generation.prompts.wording import (
    ClassWords,
    filled,
    no_class,
    phrase,
    places,
    some,
)
from synthgap.generation.prompts.wordnet import WNID, is_synset, synset_words
from synthgap.params.reading import yaml_tree
from synthgap.params.wording import unknown

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

    from synthgap.params.sections import Prompts

__all__ = ["ClassWords", "class_texts", "class_words", "filled"]

KEYS = ("name", "hypernym", "definition", "synset")
PLACE = "params.yaml, prompts.classes"


def class_words(
    prompts: Prompts, classes: Sequence[str], root: Path, needed: Collection[str]
) -> dict[str, ClassWords]:
    """Words of every class folder; the file of `prompts.classes` comes before WordNet.

    WordNet is asked only for what is `needed` (`name`, always, `hypernym`, `definition`) and not
    given there, and only for classes with a synset, their folder's name or the file's.

    Raises:
        ParamsError: the file is not as expected, WordNet is not there, or some classes lack what
            is needed.
    """
    given = _given(prompts, classes, root)
    wanted = ("name", *(key for key in KEYS if key in needed and key != "name"))
    synsets = {
        name: synset
        for name in classes
        if (synset := _synset(name, given[name])) and any(key not in given[name] for key in wanted)
    }
    folder = None if prompts.wordnet is None else root / Path(prompts.wordnet).expanduser()
    words_by_synset = synset_words(synsets.values(), folder)
    _check_synsets(
        [f"{name} ({one})" for name, one in synsets.items() if words_by_synset[one] is None]
    )
    words = {}
    for name in classes:
        found = words_by_synset.get(synsets.get(name, "")) or ClassWords(phrase(name))
        words[name] = ClassWords(
            name=given[name].get("name", found.name),
            hypernym=given[name].get("hypernym", found.hypernym),
            definition=given[name].get("definition", found.definition),
        )
    for key in wanted:
        _check_complete(prompts, key, [name for name in classes if not getattr(words[name], key)])
    return words


def class_texts(template: str, prompts: Prompts, classes: Sequence[str], root: Path) -> list[str]:
    """The template filled with each class's words, in the order of `classes`.

    Raises:
        ParamsError: as `class_words`.
    """
    words = class_words(prompts, classes, root, places([template]))
    return [filled(template, words[name]) for name in classes]


def _synset(name: str, given: Mapping[str, str]) -> str | None:
    return given.get("synset") or (name if WNID.fullmatch(name) else None)


def _check_synsets(missing: Sequence[str]) -> None:
    if missing:
        raise ParamsError(
            f"{PLACE}: WordNet has no synset for {some(missing)}; expected ids of WordNet 3.0, "
            "correct them or write name, hypernym and definition"
        )


def _check_complete(prompts: Prompts, key: str, missing: Sequence[str]) -> None:
    if not missing:
        return
    example = f'{missing[0]}: {{{key}: "..."}}'
    if prompts.classes is None:
        todo = f"write a file with a line such as `{example}` a class, and name it there"
    else:
        todo = f"write `{example}` into {prompts.classes}"
    raise ParamsError(
        f"{PLACE}: no {key} for {some(missing)}; expected one for every class, {todo}, or give "
        "`synset:` for WordNet's"
    )


def _given(prompts: Prompts, classes: Sequence[str], root: Path) -> dict[str, dict[str, str]]:
    """What the file of one's own says of every class; nothing where there is no file."""
    if prompts.classes is None:
        return {name: {} for name in classes}
    path = root / Path(prompts.classes).expanduser()
    given = _read(text_of(path, place=PLACE), prompts.classes)
    strangers = sorted(set(given) - set(classes))
    if strangers:
        raise ParamsError(f"{prompts.classes}: {no_class(strangers[0], classes)}")
    return {name: given.get(name, {}) for name in classes}


def _read(text: str, place: str) -> dict[str, dict[str, str]]:
    node = yaml_tree(text, place)
    if node is None:
        return {}
    return {name: _words_of(part, name, place) for name, part in _pairs(node, place, "class")}


def _words_of(node: Node, name: str, place: str) -> dict[str, str]:
    from ruamel.yaml.nodes import ScalarNode

    words: dict[str, str] = {}
    for key, part in _pairs(node, place, name):
        where = f"{place}: line {part.start_mark.line + 1}: {name}.{key}"
        if key not in KEYS:
            raise ParamsError(f"{where}: unknown key{unknown(key, KEYS)}")
        text = " ".join(str(part.value).split()) if isinstance(part, ScalarNode) else ""
        if not text or str(part.tag).endswith(":null"):
            raise ParamsError(f"{where}: expected words, write them or remove the key")
        if key == "synset" and not is_synset(text):
            raise ParamsError(f"{where}: {text!r}, expected a synset like n02084071 or dog.n.01")
        words[key] = text
    return words


def _pairs(node: Node, place: str, of: str) -> Iterator[tuple[str, Node]]:
    from ruamel.yaml.nodes import MappingNode

    line = f"line {node.start_mark.line + 1}"
    if not isinstance(node, MappingNode):
        raise ParamsError(f"{place}: {line}: {of}: expected {{{', '.join(KEYS)}}}, any of them")
    names = set()
    for key, part in node.value:
        name = str(key.value)
        if name in names:
            where = f"line {key.start_mark.line + 1}"
            raise ParamsError(f"{place}: {where}: {name} is given twice; keep one of the two")
        names.add(name)
        yield name, part
