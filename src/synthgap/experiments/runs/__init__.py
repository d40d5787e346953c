"""One run and one cell of runs: specs, sources, subsets, results; experiments say which."""
