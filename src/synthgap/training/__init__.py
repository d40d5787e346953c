"""Train one student: schedule, multi-crop, scores, exact resume. Knows no MLflow, Optuna or DVC."""
