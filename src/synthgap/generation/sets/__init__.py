"""Synthetic sets: planned, cut into parts, sampled by any number of processes, assembled."""
