"""Studies: trials over a search space, by one worker or many, on one machine or many."""
