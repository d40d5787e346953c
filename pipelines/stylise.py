"""Make the training sets anew in other pictures' styles: their texture goes, their shape stays."""

from synthgap import stage
from synthgap.generation.derived.stylise import StyliseParams, stylise
from synthgap.jobs import Artifacts, Log


def main(params: StyliseParams, artifacts: Artifacts, log: Log) -> None:
    """Make both sets."""
    stylise(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=StyliseParams, coordinates={})
