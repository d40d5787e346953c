"""The section `prompts` of a test: what it says is set, all else is null."""

from __future__ import annotations

from synthgap.params.sections import Prompts


def prompts(template="a photo of a {class}", **files) -> Prompts:
    names = ("templates", "classes", "wordnet", "backgrounds", "captions")
    return Prompts(template=template, **{name: files.get(name) for name in names})
