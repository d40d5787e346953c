"""The generators trained here: the recipe's own pipeline, and its rivals."""
