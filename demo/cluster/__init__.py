"""A Spark cluster of this machine alone: a master and its workers, as processes that end with the block or the command.

``python -m demo.cluster`` starts one, with an MLflow server on PostgreSQL, and stops all of it on Ctrl-C.
"""

from demo.cluster.standalone import Cluster, cluster

__all__ = ["Cluster", "cluster"]
