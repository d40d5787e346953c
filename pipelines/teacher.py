"""Train a CLIP on `corpus` beside the generator's text encoder, or pin one made elsewhere."""

from synthgap import stage
from synthgap.generation.trainers.teacher import TeacherParams, make_teacher
from synthgap.jobs import Artifacts, Log


def main(params: TeacherParams, artifacts: Artifacts, log: Log) -> None:
    """Make the teacher."""
    make_teacher(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=TeacherParams)
