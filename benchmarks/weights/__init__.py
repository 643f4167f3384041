"""How long weights take from the driver to the first row, and what is held in memory meanwhile."""
