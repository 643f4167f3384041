"""The engine around a model that costs nothing: what it adds to every row."""
