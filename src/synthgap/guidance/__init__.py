"""Guidance losses (PG, RG) and their baselines: ways to learn from real and synthetic images."""
