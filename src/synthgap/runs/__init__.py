"""One run and one cell of runs: plans, sources, processes, results; experiments say which."""
