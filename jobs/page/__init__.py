"""A page of each run: what it did, in numbers and pictures, in one file that needs nothing else."""
