"""Make MLflow say what the outputs say: runs, sweeps and the registry, without doubles."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthgap.errors import TrackingError
from synthgap.jobs import write_json
from synthgap.tracking.cells import (
    RunCell,
    iter_cells,
    log_stage_files,
    origin_of,
    run_content_digest,
    times_of_run,
)
from synthgap.tracking.live_log import ensure_sender, git_commit
from synthgap.tracking.outbox import Outbox, is_alive
from synthgap.tracking.publishing import PublishedVersions, publish_all
from synthgap.tracking.runs import (
    CONTENT_TAG,
    DIGEST_TAG,
    EPOCHS_TAG,
    RunRecord,
    create_run,
    dvc_digests,
    epoch_points,
    params_of,
    summary_points,
)
from synthgap.tracking.spool import sender_lock, spool_of, spools
from synthgap.tracking.store import NOTE_TAG, TrackingStore, open_store, store_errors
from synthgap.tracking.sweeps import (
    PARENT_TAG,
    SUPERSEDED_TAG,
    SWEEP_NOTES,
    SWEEP_TAG,
    Sweep,
    begin_sweep,
    delete_replaced,
    merge_parents,
    sweep_of,
    update_sweep,
)
from synthgap.tracking.trials import (
    TUNE,
    is_shared,
    is_trial,
    status_of,
    study_note,
    study_tags,
    trial_tags,
    verdict_chart,
)

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

MIRROR_WAIT_S = 120.0
END_STATUSES = ("FINISHED", "FAILED")
MirrorAction = Literal["left", "completed", "replaced", "created", "running"]


@dataclass
class MirrorReport:
    """What a mirror found and did."""

    uri: str
    runs: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by MirrorAction
    published: PublishedVersions = field(default_factory=PublishedVersions)

    def lines(self) -> list[str]:
        """For the terminal."""
        done = ", ".join(f"{count} {action}" for action, count in sorted(self.runs.items()))
        return [
            f"{self.uri}: {sum(self.runs.values())} runs ({done or 'none in artifacts/'})",
            f"registry: {self.published.new} versions published, {self.published.known} known",
            *self.published.warnings,
        ]


@dataclass(frozen=True)
class StoredRuns:
    """What the store holds: runs by digest, current parents by sweep, fetched in one search."""

    runs: Mapping[str, Sequence[MlflowRun]]
    parents: Mapping[str, MlflowRun]


def mirror(root: Path) -> MirrorReport:
    """Bring runs, model versions, tags and aliases up to date from DVC outputs alone.

    Raises:
        TrackingError: the store cannot be reached, or another process keeps sending into it.
    """
    root = root.resolve()
    with sender_lock(root, wait_s=MIRROR_WAIT_S, hurry=True) as held:
        if not held:
            raise TrackingError(
                f"{root / '.synthgap/live/sender.lock'}: another process still sends after "
                f"{MIRROR_WAIT_S:g} s; see sender.log there, then rerun `synthgap mirror`"
            )
        store = open_store(root)
        Outbox(store).send()
        report = mirror_runs(store)
        with store_errors(store.uri):
            report.published = publish_all(store)
    if any(spool.has_news for spool in spools(root)):  # written while the lock was ours
        ensure_sender(root)
    return report


def mirror_runs(store: TrackingStore, found: Sequence[RunCell] | None = None) -> MirrorReport:
    """Complete, replace or create every run of the outputs, then their parents' charts.

    Of `found` alone where that is given.
    """
    report = MirrorReport(uri=store.uri)
    sweeps: dict[Sweep, list[tuple[RunCell, RunRecord]]] = defaultdict(list)
    for cell in iter_cells(store.root) if found is None else found:
        for run in cell.runs:
            sweeps[sweep_of(run, cell.about["params"])].append((cell, run))
    with store_errors(store.uri):
        window = _fetch_runs(store)
        digests = dvc_digests(store.root)
        for sweep, members in sweeps.items():
            _mirror_sweep(_MirrorContext(store, window, digests, report), sweep, members)
        if found is None:
            _close_empty(store, window, {sweep.digest for sweep in sweeps})
    return report


def _close_empty(store: TrackingStore, window: StoredRuns, filled: set[str]) -> None:
    """Close parents whose runs all failed before they had any output."""
    if any(_is_live(store, spool.digest) for spool in spools(store.root)):
        return
    for digest, parent in window.parents.items():
        tags = parent.data.tags
        elsewhere = "study" in tags and is_shared(tags)  # another machine may work on it
        if digest not in filled and parent.info.status == "RUNNING" and not elsewhere:
            store.client.set_terminated(parent.info.run_id, "FAILED")


@dataclass(frozen=True)
class _MirrorContext:
    store: TrackingStore
    window: StoredRuns
    digests: dict[str, str]
    report: MirrorReport


def _fetch_runs(store: TrackingStore) -> StoredRuns:
    runs: dict[str, list[MlflowRun]] = defaultdict(list)
    parents: dict[str, list[MlflowRun]] = defaultdict(list)
    token, experiments = None, store.experiments()
    while experiments:
        page = store.client.search_runs(
            experiments,
            order_by=["attributes.start_time ASC"],
            max_results=1000,
            page_token=token,
        )
        for run in page:
            tags = run.data.tags
            if DIGEST_TAG in tags:
                runs[tags[DIGEST_TAG]].append(run)
            elif SWEEP_TAG in tags and SUPERSEDED_TAG not in tags:
                parents[tags[SWEEP_TAG]].append(run)
        token = page.token
        if not token:
            break
    return StoredRuns(
        runs, {digest: merge_parents(store, found) for digest, found in parents.items()}
    )


def _mirror_sweep(
    work: _MirrorContext, sweep: Sweep, members: Sequence[tuple[RunCell, RunRecord]]
) -> None:
    store = work.store
    parent = work.window.parents.get(sweep.digest)
    if parent is None:
        start = min(times_of_run(store.root, cell, run).start for cell, run in members)
        parent = store.client.get_run(begin_sweep(store, sweep, start=start))
    children = []
    for cell, run in members:
        action, run_id = _mirror_run(work, cell, run, parent.info.run_id)
        work.report.runs[action] += 1
        children.append(run_id)
    cell, runs = members[0][0], [run for _, run in members]
    study = cell.about.get("study") or {}
    parent_id = update_sweep(store, parent, runs, children, verdict_chart(study))
    if study:
        delete_replaced(store, parent_id, runs)
        note = f"{study_note(study)}\n\n{SWEEP_NOTES[TUNE]}"
        store.write(parent_id, tags=study_tags(study) | {NOTE_TAG: note})
    log_stage_files(store, parent_id, sweep.experiment, cell.folder)


def _mirror_run(
    work: _MirrorContext, cell: RunCell, run: RunRecord, parent: str
) -> tuple[MirrorAction, str]:
    store, digest = work.store, run["digest"]
    there = list(work.window.runs.get(digest, []))
    if _is_live(store, digest):
        return "running", there[-1].info.run_id if there else ""
    content = run_content_digest(cell, run)
    keep = next((old for old in there if _is_complete(old, content)), None)
    if keep is not None:
        action: MirrorAction = "left"
    else:
        keep = next((old for old in there if _can_complete(old, run)), None)
        action = "completed" if keep is not None else "replaced" if there else "created"
    for old in there:
        if old is not keep:
            store.client.delete_run(old.info.run_id)
    if keep is not None and keep.data.tags.get(PARENT_TAG) != parent:  # its parent was deleted
        store.write(keep.info.run_id, tags={PARENT_TAG: parent})
    run_id = keep.info.run_id if keep is not None else _create(work, cell, run, parent)
    if action != "left":
        _complete(store, cell, run, run_id)
    spool_of(store.root, digest).clear()
    return action, str(run_id)


def _is_live(store: TrackingStore, digest: str) -> bool:
    """Whether a training writes this very run now, e.g. a forced rerun."""
    sent = spool_of(store.root, digest).sent()
    running = sent.status == "RUNNING"
    return running and is_alive(sent.pid, host=sent.host, started=sent.started)


def _is_complete(old: MlflowRun, content: str) -> bool:
    return bool(old.data.tags.get(CONTENT_TAG) == content and old.info.status in END_STATUSES)


def _can_complete(old: MlflowRun, run: RunRecord) -> bool:
    """Whether a live run sent every epoch and lacks only what run.json adds."""
    fresh = CONTENT_TAG not in old.data.tags and old.info.status == status_of(run)
    return bool(fresh and old.data.tags.get(EPOCHS_TAG) == _last_epoch(run))


def _last_epoch(run: RunRecord) -> str:
    return str(run["epochs"][-1]["epoch"] if run["epochs"] else 0)


def _create(work: _MirrorContext, cell: RunCell, run: RunRecord, parent: str) -> str:
    times = times_of_run(work.store.root, cell, run)
    origin = origin_of(cell, times)
    run_id = create_run(work.store, run, origin, parent=parent, digests=work.digests)
    points = [
        point
        for epoch in run["epochs"]
        for point in epoch_points(epoch, times.of_epoch(epoch["epoch"]))
    ]
    tags = {EPOCHS_TAG: _last_epoch(run)}
    if not times.known:
        tags |= _restored_tags(work.store.root)
    work.store.write(run_id, points, tags=tags)
    return run_id


def _restored_tags(root: Path) -> dict[str, str]:
    """Say that the times are the file's; the commit is the one whose dvc.lock names it."""
    here = git_commit(root)
    tags = {"synthgap.times": "unknown, restored from run.json"}
    if here:
        tags["mlflow.source.git.commit"] = here.removesuffix("-dirty")
    return tags


def _complete(store: TrackingStore, cell: RunCell, run: RunRecord, run_id: str) -> None:
    """Add what only run.json has; the content tag comes last, so its presence means complete."""
    times = times_of_run(store.root, cell, run)
    params = params_of(run, cell.about["params"]) if is_trial(run) else {}  # more than at its start
    store.write(run_id, summary_points(run, times.end), params=params)
    with tempfile.TemporaryDirectory(prefix="synthgap-") as folder:
        path = Path(folder) / "run.json"
        write_json(path, cell.content(run))
        store.client.log_artifact(run_id, str(path))
    for name in run.get("pictures", ["samples.png"]):
        if (cell.folder / name).is_file():
            store.client.log_artifact(run_id, str(cell.folder / name))
    store.client.set_terminated(run_id, status_of(run), end_time=round(times.end * 1000))
    store.write(run_id, tags=trial_tags(run) | {CONTENT_TAG: run_content_digest(cell, run)})
