"""A cluster in a test: an API server on the memory store, with its own certificates, in process or as a child.

with pybernetes.testing.cluster() as running:      # or the command `pybernetes testserver --json`
    running.kubeconfig, running.url
"""

from .arguments import WrongArgument
from .cluster import RunningCluster, TestCluster, cluster

__all__ = ["RunningCluster", "TestCluster", "WrongArgument", "cluster"]
