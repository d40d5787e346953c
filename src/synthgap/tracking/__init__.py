"""MLflow: live runs, the mirror of DVC outputs, and the registry of prefixes."""
