"""Synthetic image sets: planned, sampled by any number of processes, filtered, put together."""
