"""What classes are called: words, templates with places for them, and a tokenizer of both."""
