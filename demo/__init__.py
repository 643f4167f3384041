"""The demonstration: real models, a table of reviews written for it, and two jobs. Start it with ``make demo``."""
