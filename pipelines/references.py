"""Train a reference network on corpus without labels, or pin one, for guidance methods."""

from synthgap import stage
from synthgap.experiments.references.stage import ReferencesParams, make_reference
from synthgap.jobs import Artifacts, Log


def main(params: ReferencesParams, artifacts: Artifacts, log: Log, reference: str) -> None:
    """Make one reference."""
    make_reference(params, artifacts, log, name=reference)


if __name__ == "__main__":
    stage.run(main, shape=ReferencesParams, coordinates={"reference": str})
