"""One sampler over every family of pipelines: opened from a folder, asked an image a request."""
