"""Keep the first units that a student learned on one source, relearn the rest on the other."""

from synthgap import stage
from synthgap.experiments.transfer import TransferParams, transfer
from synthgap.jobs import Artifacts, Log


def main(params: TransferParams, artifacts: Artifacts, log: Log, depth: int) -> None:
    """Transfer at one depth, in both directions."""
    transfer(params, artifacts, log, depth=depth)


if __name__ == "__main__":
    stage.run(main, shape=TransferParams, coordinates={"depth": int})
