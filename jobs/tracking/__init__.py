"""What MLflow is told of a run: its figures, the tables it read and wrote, its model, and some of its answers."""
