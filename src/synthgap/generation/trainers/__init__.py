"""What is trained here to make images: the generator, its rivals, CLIP, unCLIP and style nets."""
