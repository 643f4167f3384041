"""Writing text: parameters → settings → prompts → steps of a model with its cache → completions."""
