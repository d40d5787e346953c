"""Text-to-image pipelines: trained here or pinned, and the synthetic sets sampled from them."""
