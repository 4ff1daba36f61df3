"""kube-scheduler's flags and what its KubeSchedulerConfiguration says for them (upstream: cmd/kube-scheduler/app/options).

Profiles and the times of the queue are in the file alone: `config` reads them.
"""

from __future__ import annotations

from pybernetes.component import command, flags, formerflags
from pybernetes.component.clientflags import client_flags
from pybernetes.component.configfile import Kind
from pybernetes.component.flags import Flag
from pybernetes.component.leaderflags import leader_flags
from pybernetes.component.servingflags import serving_flags

NAME = "kube-scheduler"
API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"

OWN = (
    Flag("config", flags.string, "", "A KubeSchedulerConfiguration; flags given as well win."),
    *client_flags(burst=100),
    command.VERBOSITY,
    *leader_flags(NAME),
    *serving_flags(10259),
)
FLAGS = formerflags.beside(OWN, formerflags.SCHEDULER)
FIELDS = {
    "clientConnection.burst": "kube-api-burst",
    "clientConnection.kubeconfig": "kubeconfig",
    "clientConnection.qps": "kube-api-qps",
    "leaderElection.leaderElect": "leader-elect",
    "leaderElection.leaseDuration": "leader-elect-lease-duration",
    "leaderElection.renewDeadline": "leader-elect-renew-deadline",
    "leaderElection.resourceLock": "leader-elect-resource-lock",
    "leaderElection.resourceName": "leader-elect-resource-name",
    "leaderElection.resourceNamespace": "leader-elect-resource-namespace",
    "leaderElection.retryPeriod": "leader-elect-retry-period",
}
CONFIGURATION = Kind(
    API_VERSION,
    KIND,
    FIELDS,
    without_effect=dict.fromkeys(
        (
            "clientConnection.acceptContentTypes",
            "clientConnection.contentType",
            "delayCacheUntilActive",
            "enableContentionProfiling",
            "enableProfiling",
            "parallelism",
            "percentageOfNodesToScore",
        ),
        "",
    ),
    read_elsewhere=("extenders", "podInitialBackoffSeconds", "podMaxBackoffSeconds", "profiles"),
)
