"""Train or pin another generator beside the recipe's own."""

from synthgap import stage
from synthgap.generation.trainers.rivals import RivalsParams, make_rival
from synthgap.jobs import Artifacts, Log


def main(params: RivalsParams, artifacts: Artifacts, log: Log, rival: str) -> None:
    """Make one rival."""
    make_rival(params, artifacts, log, name=rival)


if __name__ == "__main__":
    stage.run(main, shape=RivalsParams, coordinates={"rival": str})
