"""`synthgap study apply`: what a study found, written into params.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from synthgap.cli.study_place import PARAMS, Place
from synthgap.cli.study_tell import is_default
from synthgap.errors import WorkError

if TYPE_CHECKING:
    from synthgap.params.sections import Params

SHOWN = 4
"""How many of the keys that differ from what a study held fixed are named."""


def apply(name: str, *, storage: str | None, dry_run: bool) -> int:
    """Write the winner into params.yaml, whole or not at all, and say every change."""
    from synthgap.artifacts import whole_file
    from synthgap.params.editing import edited

    place = Place.here(storage)
    record = place.record(name)
    study, winner = record["study"], record["study"]["winner"]
    if winner is None:
        raise WorkError(
            f"study {name}: no winner yet, expected its finals to be done; "
            f"`synthgap study resume {name}` goes on"
        )
    if is_default(study):
        _say(f"study {name}: the default won; nothing to apply, {PARAMS} is as it was")
        return 0
    text, changes = edited(PARAMS.read_text(encoding="utf-8"), winner["tuned"], place=str(PARAMS))
    warning = fixed_elsewhere(record, place.params, winner["tuned"])
    if warning:
        _say(f"note: {warning}")
    for change in changes:
        _say(str(change))
    if not changes:
        _say(f"{PARAMS} has what study {name} found; nothing was changed")
    elif dry_run:
        _say(f"dry run: {len(changes)} values would change, nothing was written")
    else:
        with whole_file(PARAMS) as partial:
            partial.write_text(text, encoding="utf-8")
        _say(f"{PARAMS}: {len(changes)} values changed; `dvc repro` comes next")
    return 0


def fixed_elsewhere(
    record: Mapping[str, Any], params: Params, tuned: Mapping[str, object]
) -> str | None:
    """In one line, where params.yaml differs from what the study held fixed; None if nowhere."""
    from synthgap.experiments.studies.comparing import differences
    from synthgap.params.reading import section_dict

    now = section_dict(params)
    then = {key: value for key, value in held_fixed(record).items() if key in now}
    found = differences(then, {key: now[key] for key in then})
    keys = [one for one in found if not any(_is_within(key, one.key) for key in tuned)]
    if not keys:
        return None
    told = ", ".join(f"{one.key} {one.now} (study: {one.then})" for one in islice(keys, SHOWN))
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{PARAMS} differs from what the study held fixed: {told}{more}"


def held_fixed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of params.yaml as the study's trials had them, as far as its record says."""
    params = dict(record["params"])
    for own in ("tune", "study"):
        params.pop(own, None)
    return params


def _is_within(tuned: str, key: str) -> bool:
    """Whether a tuned key is what differs, or a part of it (of a list, of a set's name)."""
    return tuned == key or tuned.startswith(f"{key}.")


def _say(line: str) -> None:
    print(line)  # noqa: T201 - the command's answer
