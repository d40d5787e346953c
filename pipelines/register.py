"""Write every donor's prefix at each depth as safetensors and JSON, and publish them."""

from synthgap import stage
from synthgap.jobs import Artifacts, Log
from synthgap.tracking.register import RegisterParams, register


def main(params: RegisterParams, artifacts: Artifacts, log: Log) -> None:
    """Register both donors of the recipe."""
    register(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=RegisterParams)
