"""Image sets in the style of other pictures (AdaIN), so that shape alone is left to learn."""
