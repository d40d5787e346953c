"""Search guidance scale, augmentation and weights of guidance losses together, on train and val."""

from synthgap import stage
from synthgap.jobs import Artifacts, Log
from synthgap.studies.trials.tune import TuneParams, tune


def main(params: TuneParams, artifacts: Artifacts, log: Log) -> None:
    """Make the study."""
    tune(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=TuneParams)
