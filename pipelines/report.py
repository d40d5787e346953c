"""Draw every table and figure of every recipe into one page."""

from synthgap import stage
from synthgap.jobs import Artifacts, Log
from synthgap.reporting.report import ReportParams, report


def main(params: ReportParams, artifacts: Artifacts, log: Log) -> None:  # noqa: ARG001 - no runs
    """Report on every summary there is."""
    report(artifacts)


if __name__ == "__main__":
    stage.run(main, shape=ReportParams)
