"""Texts through a classifier: this engine, what people use, and eager torch alone, on the same machine."""
