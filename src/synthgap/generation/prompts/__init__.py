"""Which words an image is asked by: prompt schemes, and the caption files they read."""
