"""Check the real images and split them into corpus, train, val and test."""

from synthgap import stage
from synthgap.data.ingest import IngestParams, ingest
from synthgap.jobs import Artifacts, Log


def main(params: IngestParams, artifacts: Artifacts, log: Log) -> None:  # noqa: ARG001 - no runs
    """Make the four image sets."""
    ingest(params, artifacts)


if __name__ == "__main__":
    stage.run(main, shape=IngestParams, coordinates={})
