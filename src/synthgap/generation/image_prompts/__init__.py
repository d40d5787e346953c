"""Images prompted by images: an unCLIP pipeline, and the set it makes of the real ones."""
