"""Latent diffusion trained here: its networks, and what its two phases minimise."""
