"""A WordNet of a few nouns, written by the tests in WordNet's own file format (wndb(5WN))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Noun:
    lemmas: tuple[str, ...]
    gloss: str
    parents: tuple[str, ...] = ()  # their first lemmas


PARTS = ("lion", "goat", "snake", "bird", "fish", "worm", "fly")
NOUNS = (
    Noun(("beast",), "a thing that lives"),
    Noun(("pet", "house_friend"), 'a beast kept at home; "our pet"', ("beast",)),
    Noun(("hunter",), "a beast that hunts", ("beast",)),
    Noun(("cat", "house_cat"), 'a small hunter with whiskers; "the cat sat"', ("pet", "hunter")),
    *(Noun((part,), "a beast", ("beast",)) for part in PARTS),
    Noun(("chimera",), "many beasts in one", PARTS),
)


def line(noun: Noun, offsets: dict[str, int]) -> str:
    lemmas = " ".join(f"{lemma} 0" for lemma in noun.lemmas)
    pointers = "".join(f"@ {offsets.get(name, 0):08d} n 0000 " for name in noun.parents)
    start = f"{offsets.get(noun.lemmas[0], 0):08d} 05 n {len(noun.lemmas):02x} {lemmas}"
    return f"{start} {len(noun.parents):03d} {pointers}| {noun.gloss}  \n"


def write_wordnet(folder: Path, *, version: str = "3.0") -> dict[str, str]:
    """Write the files that Debian's wordnet-base has; return each first lemma's wnid."""
    folder.mkdir(parents=True, exist_ok=True)
    heading = f"  1 WordNet {version} Copyright nobody\n"
    offsets: dict[str, int] = {}
    place = len(heading)
    for noun in NOUNS:
        offsets[noun.lemmas[0]] = place
        place += len(line(noun, {}))
    data = heading + "".join(line(noun, offsets) for noun in NOUNS)
    index = "".join(
        f"{lemma} n 1 1 @ 1 0 {offsets[noun.lemmas[0]]:08d}  \n"
        for noun in NOUNS
        for lemma in noun.lemmas
    )
    for pos in ("noun", "verb", "adj", "adv"):
        texts = (data, index) if pos == "noun" else (heading, "")
        (folder / f"data.{pos}").write_text(texts[0])
        (folder / f"index.{pos}").write_text(texts[1])
    return {name: f"n{offset:08d}" for name, offset in offsets.items()}
