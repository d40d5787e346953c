"""Turn what every student wrote into records with intervals, one folder a recipe."""

from synthgap import stage
from synthgap.jobs import Artifacts, Log
from synthgap.reporting.summarise import SummariseParams, summarise


def main(params: SummariseParams, artifacts: Artifacts, log: Log) -> None:  # noqa: ARG001 - no runs
    """Summarise the recipe's cells."""
    summarise(params, artifacts)


if __name__ == "__main__":
    stage.run(main, shape=SummariseParams)
