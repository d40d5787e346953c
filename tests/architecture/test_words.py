"""Identifiers are words of the field, so that who knows PyTorch, timm or Optuna can search them."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

from checkout_files import ROOT, python_files

NOT_OF_THE_FIELD = {
    *(
        "bench",
        "course",
        "crew",
        "crowd",
        "descent",
        "eye",
        "gallery",
        "keeper",
        "learner",
        "lesson",
    ),
    *("looks", "merit", "nature", "pace", "plainly", "said", "seer", "seers", "shelf", "shown"),
    *("sight", "story", "taught", "teaching", "tell", "told", "voice"),
}
LIBRARIES_OWN = {"torch.eye", "np.eye", "study.tell", "tar.tell", "file.tell"}


def _identifiers(path: Path) -> Iterator[tuple[str, int, str]]:
    """(name, line, `owner.name`) of every name in the code, without strings and comments."""
    before: list[str] = ["", ""]
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME:
            owner = before[0] if before[1] == "." else ""
            yield token.string.strip("_").lower(), token.start[0], f"{owner}.{token.string}"
        before = [before[1], token.string]


def test_no_identifier_is_a_word_of_the_project_s_own():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {dotted}"
        for path in python_files("src")
        for name, line, dotted in _identifiers(path)
        if name in NOT_OF_THE_FIELD and dotted not in LIBRARIES_OWN
    ]
    assert not found, "\n".join(found)
