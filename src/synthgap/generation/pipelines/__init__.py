"""Diffusion pipelines made here or elsewhere, behind one sampler, each with its provenance."""
