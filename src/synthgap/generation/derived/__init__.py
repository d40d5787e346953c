"""Image sets made from images: prompted by each of them, or in the style of other pictures."""
