"""Sample one image for every real training image, prompted by its embedding."""

from synthgap import stage
from synthgap.generation.derived.oracle import make_oracle
from synthgap.generation.derived.oracle_set import OracleParams
from synthgap.jobs import Artifacts, Log


def main(params: OracleParams, artifacts: Artifacts, log: Log) -> None:
    """Make the set, and the pipeline that images can prompt."""
    make_oracle(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=OracleParams)
