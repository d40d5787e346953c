"""WordNet's words for a synset, through nltk's reader: a downloaded corpus or Debian's files.

FITYMI (Sariyildiz et al., CVPR 2023, section 3.2): the class is its synset's lemmas, its hypernym
the parents' names, its definition the gloss. For n01440764: "tench, Tinca tinca", "cyprinid",
"freshwater dace-like game fish of Europe and western Asia noted for ability to survive outside
water".
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthgap.errors import ParamsError
from synthgap.generation.prompts.wording import ClassWords

DEBIAN = Path("/usr/share/wordnet")
NEEDED = "data.noun"  # what a dictionary folder must have at least, to be taken for one
WNID = re.compile(r"[nvar]\d{8}")
WNIDS_OF = "3.0"  # wnids are byte offsets into this version's files
_NAMED = re.compile(r"[^\s.][^\s]*\.[nvars]\.\d{1,3}")
_LEXICOGRAPHERS = 45  # files that a synset may come from; of their names nothing is used here


def is_synset(text: str) -> bool:
    """Whether `text` has the form of a synset: n02084071 or dog.n.01."""
    return bool(WNID.fullmatch(text) or _NAMED.fullmatch(text))


def synset_words(synsets: Iterable[str], folder: Path | None) -> dict[str, ClassWords | None]:
    """The words of each synset (`n02084071` or `dog.n.01`); None where WordNet has no such synset.

    `folder` holds the dictionary files; None: nltk's downloaded corpus, else Debian's.

    Raises:
        ParamsError: there is no WordNet, it cannot be read, or its offsets are no wnids.
    """
    wanted = list(dict.fromkeys(synsets))
    if not wanted:
        return {}
    with _dictionary(folder) as reader:
        version = reader.get_version()
        wnids = [synset for synset in wanted if WNID.fullmatch(synset)]
        if wnids and version not in (None, WNIDS_OF):
            raise ParamsError(
                f"{reader.root}: WordNet {version}, expected {WNIDS_OF}, into which synset ids "
                f"such as {wnids[0]} count; set prompts.wordnet to a folder of that version"
            )
        return {synset: _words(reader, synset) for synset in wanted}


def _words(reader: Any, name: str) -> ClassWords | None:  # noqa: ANN401 - nltk's reader is untyped
    from nltk.corpus.reader.wordnet import WordNetError

    try:
        if WNID.fullmatch(name):
            with warnings.catch_warnings(action="ignore"):  # where there is none, nltk warns
                synset = reader.synset_from_pos_and_offset(name[0], int(name[1:]))
        else:
            synset = reader.synset(name)
    except WordNetError:
        return None
    if synset is None:
        return None
    # nltk keeps parents in a set, whose order differs from process to process
    parents = sorted(
        synset.hypernyms() or synset.instance_hypernyms(), key=lambda one: one.offset()
    )
    heads = (parent.lemma_names()[0] for parent in parents)
    return ClassWords(
        name=_joined(synset.lemma_names()) or name,
        hypernym=_joined(heads),
        definition=" ".join(synset.definition().split()) or None,
    )


def _joined(lemmas: Iterable[str]) -> str | None:
    return ", ".join(lemma.replace("_", " ") for lemma in lemmas) or None


@contextmanager
def _dictionary(folder: Path | None) -> Iterator[Any]:
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetError

    root = _root(folder)
    before = list(nltk.data.path)
    nltk.data.path.append(str(root))  # nltk opens nothing outside of its search path
    opened: list[Any] = []
    try:
        yield _reader(root, opened)
    except (AssertionError, OSError, ValueError, IndexError, WordNetError) as error:
        raise ParamsError(
            f"{root}: no readable WordNet dictionary ({str(error) or 'damaged'}); expected its "
            "index.* and data.* files, restore them or correct prompts.wordnet"
        ) from error
    finally:
        for stream in opened:  # nltk leaves some of its files to the garbage collector
            stream.close()
        nltk.data.path[:] = before


def _root(folder: Path | None) -> Any:  # noqa: ANN401 - a Path, or nltk's pointer into a .zip
    if folder is not None:
        if not (folder / NEEDED).is_file():
            raise ParamsError(
                f"params.yaml, prompts.wordnet: {folder} has no {NEEDED}, expected a folder of "
                "WordNet's dictionary files, e.g. corpora/wordnet of nltk or /usr/share/wordnet"
            )
        return folder
    import nltk.data

    for name in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            return nltk.data.find(name)
        except LookupError:
            continue
    if (DEBIAN / NEEDED).is_file():
        return DEBIAN
    raise ParamsError(
        "params.yaml, prompts.wordnet: null, and there is no WordNet on this machine; get it with "
        "`apt install wordnet-base` or `python -m nltk.downloader wordnet`, or write the words "
        "into the file of prompts.classes"
    )


def _reader(root: Any, opened: list[Any]) -> Any:  # noqa: ANN401 - nltk's reader is untyped
    """A reader that adds every file it opens to `opened`."""
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Dictionary(WordNetCorpusReader):  # type: ignore[misc] # nltk is untyped
        """nltk's reader, for folders that lack what only other uses of it need."""

        def open(self, file: str) -> Any:  # noqa: ANN401
            """Open a dictionary file; what Debian leaves out reads as empty."""
            try:
                stream = super().open(file)
            except OSError:
                if file == "lexnames":
                    names = (f"{number:02d}\tunnamed\t0\n" for number in range(_LEXICOGRAPHERS))
                    return io.StringIO("".join(names))
                if file.endswith(".exc"):  # irregular plurals
                    return io.StringIO()
                raise
            opened.append(stream)
            return stream

        def map_wn(self, version: str = "wordnet") -> None:
            """Map no ids of other languages' WordNets: it would take a second corpus."""

    with warnings.catch_warnings(action="ignore"):  # that there are no other languages
        return Dictionary(str(root) if isinstance(root, Path) else root, None)
