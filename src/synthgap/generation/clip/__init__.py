"""A CLIP trained here or pinned: it embeds images and class names, and judges resemblance."""
