"""One thin file a stage; `dvc repro` runs them, nothing imports them."""
