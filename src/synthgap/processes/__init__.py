"""Several processes for one piece of work: forked on a CPU, launched by accelerate on GPUs."""
