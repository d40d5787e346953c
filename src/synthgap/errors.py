"""What the reader can mend: one line with the place, the value, what was expected, what next."""


class SynthgapError(Exception):
    """Base of everything a command reports as one line with exit code 1 and no traceback."""


class ParamsError(SynthgapError):
    """params.yaml or a recipe says something that cannot be run."""


class DataError(SynthgapError):
    """Images, splits or manifests are not what was declared."""


class GateError(SynthgapError):
    """A validation expectation failed; nothing trains on the set."""


class GeneratorError(SynthgapError):
    """A generator or teacher cannot be trained, opened or pinned."""


class TrainingError(SynthgapError):
    """A student's training cannot go on, e.g. a non-finite loss."""


class CheckpointError(SynthgapError):
    """A checkpoint is damaged, foreign or does not fit the model."""


class WorkError(SynthgapError):
    """Work in progress is held by another process, or the disk refused it."""


class TrackingError(SynthgapError):
    """The MLflow store or registry cannot be read or written."""
