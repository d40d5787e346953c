"""Long jobs: where they compute, the loop of trainings, how far they are, what they record."""
