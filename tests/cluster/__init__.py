"""Jobs on real processes of this machine: a master and workers, MLflow and PostgreSQL."""
