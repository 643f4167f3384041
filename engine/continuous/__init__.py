"""Continuous batching over transformers' models: texts of all lengths run together, and one that ends makes room."""
