"""A cluster in a test: an API server on the memory store, with its own certificates, in process or as a child.

with Cluster(controllers="all", nodes=2, scheduler=True) as kube:      # also `async with`; pytest has the fixture `kube` of itself
    kube.apply("deployment.yaml")
    kube.wait_for("deployment", "web", "Available")

`TestCluster` is the cluster on an event loop of one's own, `cluster()` one on a thread without a handle, `pybernetes testserver` one
for other languages. Nothing here may be imported by a part.
"""

from pybernetes.apiserver.filters.faultrules import Fault

from .akube import AsyncKube
from .arguments import WrongArgument
from .cluster import RunningCluster, TestCluster
from .kube import Kube, NotReached
from .launch import Cluster, cluster
from .webhook import Webhook

__all__ = [
    "AsyncKube",
    "Cluster",
    "Fault",
    "Kube",
    "NotReached",
    "RunningCluster",
    "TestCluster",
    "Webhook",
    "WrongArgument",
    "cluster",
]
