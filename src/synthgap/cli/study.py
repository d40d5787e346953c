"""`synthgap study ...`: search guidance scale, augmentation, loss weights; use what was found."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Subparsers = argparse._SubParsersAction
Handler = Callable[[argparse.Namespace], int]

EXAMPLES = """\
examples:
  synthgap study run joint                    the study `joint` of params.yaml, to its end
  synthgap study run joint --as again --trials 60
  synthgap study resume joint                 go on where it was killed
  synthgap study work --study joint           one worker more; as many as you like, anywhere
  synthgap study status                       every study: trials, best so far, workers
  synthgap study best joint
  synthgap study compare tune joint           (`tune` is the study of the pipeline's stage)
  synthgap study apply joint --dry-run        what would be written into params.yaml
  synthgap study apply joint && dvc repro
  synthgap study report joint                 its page, also while it runs
  synthgap study dashboard                    (or `make studies`)

Studies are kept in mlruns/studies.db; --storage URL or the variable SYNTHGAP_STUDIES names another
place: sqlite:///FILE, journal:///FILE on a disk that machines share, or a server,
postgresql+psycopg://USER:PASSWORD@HOST/DATABASE. Put a URL with a password into the variable: what
is typed behind --storage is seen in the machine's list of processes.
"""


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `synthgap study` to the command line."""
    parser = subparsers.add_parser(
        "study",
        help="search guidance scale, augmentation, loss weights and more; use what was found",
        description="A study is an entry of params.yaml's `studies`: what is searched, by which "
        "objective, with how many trials. Trials are runs of stage `guide`, chosen on val; test is "
        "scored once, by the winner and the default.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_working(actions)
    _add_telling(actions)
    _add_using(actions)


def _add_working(actions: Subparsers[argparse.ArgumentParser]) -> None:
    run = actions.add_parser("run", help="make a study of params.yaml and work on it to its end")
    run.add_argument("name", metavar="NAME", help="of `studies` in params.yaml")
    run.add_argument("--as", dest="called", metavar="NAME2", help="what to call it; default: NAME")
    run.add_argument("--trials", type=_count, metavar="N", help="instead of its own budget")
    _handled(run, _run)
    resume = actions.add_parser("resume", help="go on with a study that was interrupted")
    resume.add_argument("name", metavar="NAME")
    _handled(resume, _resume)
    work = actions.add_parser("work", help="work on a study beside its other workers")
    work.add_argument("--study", dest="name", metavar="NAME", required=True)
    _handled(work, _resume)


def _add_telling(actions: Subparsers[argparse.ArgumentParser]) -> None:
    status = actions.add_parser("status", help="trials by state, the best so far, workers")
    status.add_argument("name", metavar="NAME", nargs="?", help="default: all studies, in a table")
    _handled(status, _status)
    best = actions.add_parser("best", help="what won, by how much, and what it cost")
    best.add_argument("name", metavar="NAME")
    _handled(best, _best)
    compare = actions.add_parser("compare", help="several studies, side by side")
    compare.add_argument("names", metavar="NAME", nargs="+")
    _handled(compare, _compare)
    report = actions.add_parser("report", help="write a study's page from what is there now")
    report.add_argument("name", metavar="NAME")
    _handled(report, _report)


def _add_using(actions: Subparsers[argparse.ArgumentParser]) -> None:
    apply = actions.add_parser(
        "apply", help="write the winner into params.yaml; comments stay, nothing else changes"
    )
    apply.add_argument("name", metavar="NAME", help="of a study, or `tune`")
    apply.add_argument("--dry-run", action="store_true", help="say what would change, no more")
    _handled(apply, _apply)
    dashboard = actions.add_parser(
        "dashboard", help="optuna-dashboard over all studies, on this machine alone"
    )
    dashboard.add_argument("--port", type=_count, default=8080, metavar="N", help="default: 8080")
    _handled(dashboard, _dashboard)


def _handled(parser: argparse.ArgumentParser, handler: Handler) -> None:
    """Let the action take a storage and be answered by `handler`."""
    parser.add_argument(
        "--storage", metavar="URL", help="default: SYNTHGAP_STUDIES, or mlruns/studies.db here"
    )
    parser.set_defaults(run=_with_storage_errors(handler))


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count}, expected at least 1")
    return count


def _with_storage_errors(handler: Handler) -> Handler:
    """The handler, with what its storage raises as one line."""

    def run(arguments: argparse.Namespace) -> int:
        from synthgap.studies.storage import storage_errors

        with storage_errors(f"study {getattr(arguments, 'name', None) or 'of the storage'}"):
            return handler(arguments)

    return run


def _run(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_work import run

    return run(arguments.name, arguments.called, trials=arguments.trials, storage=arguments.storage)


def _resume(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_work import resume

    return resume(arguments.name, storage=arguments.storage)


def _status(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_status import status

    return status(arguments.name, storage=arguments.storage)


def _best(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_tell import best

    return best(arguments.name, storage=arguments.storage)


def _compare(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_tell import compare

    return compare(arguments.names, storage=arguments.storage)


def _report(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_tell import report

    return report(arguments.name, storage=arguments.storage)


def _apply(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_apply import apply

    return apply(arguments.name, storage=arguments.storage, dry_run=arguments.dry_run)


def _dashboard(arguments: argparse.Namespace) -> int:
    from synthgap.cli.study_status import dashboard

    return dashboard(arguments.port, storage=arguments.storage)
