"""The cells of the sweeps: which students are trained on what, and what is kept of them."""
