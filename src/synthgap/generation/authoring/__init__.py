"""Written before a run, by commands: captions by other models, prompts as tokenizers read them."""
