"""What DVC said."""


def ran(done):
    """Names of the stages that a repro executed."""
    lines = done.stdout.splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage")]
