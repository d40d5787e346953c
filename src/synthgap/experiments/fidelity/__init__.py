"""Stage `fidelity`: how close synthetic sets are to real images."""
