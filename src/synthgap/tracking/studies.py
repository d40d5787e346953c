"""Studies of the command line: their page and figures under their parent run."""

from __future__ import annotations

from pathlib import Path

from synthgap.errors import TrackingError
from synthgap.tracking.cells import cell_of
from synthgap.tracking.mirror import mirror_runs
from synthgap.tracking.outbox import Outbox
from synthgap.tracking.spool import sending
from synthgap.tracking.store import open_store

WAIT_S = 60.0


def keep_study(root: Path, folder: Path) -> str | None:
    """Make MLflow say what the study's folder says: trials, charts, run.json, page and figures.

    Nothing is doubled, however often it is told. Where MLflow cannot be told now, the line that
    says why is returned, and `synthgap mirror` sends what it missed.
    """
    root = root.resolve()
    try:
        with sending(root, wait_s=WAIT_S, hurry=True) as held:
            if not held:
                return (
                    f"{root / '.synthgap/live/sender.lock'}: another process still sends after "
                    f"{WAIT_S:g} s; `synthgap mirror` adds the study to MLflow later"
                )
            store = open_store(root)
            Outbox(store).send()
            mirror_runs(store, [cell_of(folder.resolve() / "run.json")])
    except TrackingError as error:
        return str(error)
    return None
