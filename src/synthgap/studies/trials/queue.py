"""Which planned trials of a study are done, running or lost: the budget, kept exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from optuna import Study
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._heartbeat import BaseHeartbeat, is_heartbeat_enabled
from optuna.trial import FrozenTrial, TrialState, create_trial

from synthgap.studies.trials.budget import PlannedTrial
from synthgap.studies.trials.plan import StudyPlan

RETRIES = 3
"""How often a slot is tried again after its worker died; then the slot is failed."""

ACTIVE = (TrialState.WAITING, TrialState.RUNNING)
SPARED = "spared"
"""User attribute of a trial that ended without fault of its own: given back, or set aside."""


def is_done(trial: FrozenTrial) -> bool:
    """Whether the trial settles its slot: complete, pruned, or failed for a reason of its own."""
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return True
    row = trial.user_attrs.get("told", {})
    return trial.state == TrialState.FAIL and row.get("state") == "failed"


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The one trial of every slot that is done, in the order of slots: what a record counts."""
    found: dict[int, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if "slot" in trial.user_attrs and is_done(trial):
            found.setdefault(trial.user_attrs["slot"], trial)
    return [found[slot] for slot in sorted(found)]


def by_slot(trials: Sequence[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """All trials of every slot, the oldest first."""
    found = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: trial.number):
        if "slot" in trial.user_attrs:
            found[trial.user_attrs["slot"]].append(trial)
    return dict(found)


def of_same_slot(trials: Sequence[FrozenTrial], trial_id: int) -> list[FrozenTrial]:
    """All trials of the slot of one of them, the oldest first."""
    return next(
        each
        for each in by_slot(trials).values()
        if any(trial._trial_id == trial_id for trial in each)
    )


def deaths(trials: Sequence[FrozenTrial]) -> int:
    """How many of a slot's trials ended because their worker died."""
    ended = [trial for trial in trials if trial.state == TrialState.FAIL and not is_done(trial)]
    return sum(SPARED not in trial.user_attrs for trial in ended)


def take(study: Study) -> int | None:
    """Take the waiting trial of the earliest slot and return its id; None where nothing waits.

    `study.ask()` would take the oldest trial, so that a slot that was given back comes last and an
    interrupted study goes on otherwise than it had; and it creates trials beyond the budget.
    """
    study._thread_local.cached_all_trials = None  # as `ask` does: read the storage again
    storage = study._storage
    trials_by_slot = by_slot(study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
    for slot in sorted(trials_by_slot):
        for trial in trials_by_slot[slot]:
            with suppress(UpdateFinishedTrialError):  # another worker has set it aside
                if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    return trial._trial_id
    return None


def reclaim(study: Study, plan: StudyPlan, slots: Sequence[PlannedTrial]) -> bool:
    """End the trials whose worker is silent, and queue their slots; whether any is not done."""
    storage = study._storage
    if isinstance(storage, BaseHeartbeat) and is_heartbeat_enabled(storage):
        for trial_id in storage._get_stale_trial_ids(study._study_id):
            state, values = _end_of(storage.get_trial(trial_id), plan)
            with suppress(UpdateFinishedTrialError):  # ended meanwhile, by whoever
                storage.set_trial_state_values(trial_id, state, values)
    return queue_lost(study, slots)


def _end_of(silent: FrozenTrial, plan: StudyPlan) -> tuple[TrialState, list[float] | None]:
    """How a trial ends whose worker died: as its row says, where that was kept before."""
    row = silent.user_attrs.get("told", {})
    match row.get("state"):
        case "complete":
            values = [row["values"][name] for name in plan.study.objectives]
            return TrialState.COMPLETE, values
        case "pruned":
            return TrialState.PRUNED, None
        case _:
            return TrialState.FAIL, None


def queue_lost(study: Study, slots: Sequence[PlannedTrial]) -> bool:
    """Queue every slot that is neither done nor under way; whether any is not done."""
    trials_by_slot = by_slot(study.get_trials(deepcopy=False))
    is_open = False
    for slot in slots:
        trials = trials_by_slot.get(slot.number, [])
        if any(map(is_done, trials)):
            continue
        is_open = True
        if not any(trial.state in ACTIVE for trial in trials):
            queue(study, slot, trials)
    return is_open


def queue(study: Study, slot: PlannedTrial, before: Sequence[FrozenTrial] = ()) -> None:
    """Add a waiting trial of the slot, with what was suggested for the last one `before`."""
    attrs: dict[str, Any] = {"fixed_params": dict(slot.values)}
    last = max(before, key=lambda trial: len(trial.params), default=None)
    if last is not None:  # and with its generation, which NSGA-II keeps
        kept = last.system_attrs.items()
        attrs |= {name: value for name, value in kept if name.endswith(":generation")}
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params=last.params if last else {},
            distributions=last.distributions if last else {},
            user_attrs={"slot": slot.number, "kind": slot.kind, "retries": deaths(before)},
            system_attrs=attrs,
        )
    )


def is_duplicate(trial_id: int, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a trial that was taken must be set aside, given all trials of its slot."""
    number = next(trial.number for trial in trials if trial._trial_id == trial_id)
    return any(
        is_done(trial) or (trial.state in ACTIVE and trial.number < number) for trial in trials
    )


def spare(study: Study, trial_id: int, why: str) -> None:
    """End a trial that settles nothing and is nobody's death: its slot is as before.

    One whose row is kept already is left to `reclaim`, which ends it as the row says.
    """
    if "told" in study._storage.get_trial(trial_id).user_attrs:
        return
    with suppress(UpdateFinishedTrialError):  # ended meanwhile, which is as good
        study._storage.set_trial_user_attr(trial_id, SPARED, why)
        study._storage.set_trial_state_values(trial_id, TrialState.FAIL)


def progress(trials: Sequence[FrozenTrial]) -> Mapping[str, int]:
    """How many slots are done, running and waiting, and how many workers died on the way."""
    trials_by_slot = by_slot(trials)
    states = [
        {trial.state for trial in each}
        for each in trials_by_slot.values()
        if not any(map(is_done, each))
    ]
    return {
        "done": len(counted(trials)),
        "running": sum(TrialState.RUNNING in state for state in states),
        "waiting": sum(TrialState.RUNNING not in state for state in states),
        "deaths": sum(deaths(each) for each in trials_by_slot.values()),
    }
