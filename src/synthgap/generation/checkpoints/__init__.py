"""Pipelines as folders: what their objects are called, how they are saved, what made them."""
