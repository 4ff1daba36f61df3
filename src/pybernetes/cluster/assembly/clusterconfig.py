"""What a cluster tells its hosts of how it was made: the ConfigMaps of kubeadm's, and ours beside them."""

from __future__ import annotations

from dataclasses import dataclass

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.client.rest import RESTClient
from pybernetes.component.command import Failure
from pybernetes.deploy import configuration, layout, objects, types
from pybernetes.deploy.configuration import Configuration, ConfigurationError
from pybernetes.deploy.daemons.model import Host


@dataclass
class Fetched:
    """How it was made, and its kubelets' and kube-proxies' configuration ("": in pods). `foreign`: not by our `init`."""

    configuration: Configuration
    layout: layout.ClusterLayout
    kubelet: str
    proxy: str
    foreign: bool = False


async def fetched(client: RESTClient, init: types.InitConfiguration, host: Host) -> Fetched:
    """`init` is what the host is told by others than the cluster. StatusError, Failure in words."""
    kubeadm = await _config_map(client, objects.KUBEADM_CONFIG)
    if not kubeadm:
        raise Failure(
            f"the cluster has no ConfigMap kube-system/{objects.KUBEADM_CONFIG}: run `pybernetes init phase upload-config all` there"
        )
    try:
        cluster = configuration.kept(kubeadm.get(configuration.CLUSTER, ""))
        ours = layout.parse((await _config_map(client, layout.CONFIG_MAP)).get(layout.CONFIG_KEY, ""))
    except ConfigurationError as error:
        raise Failure(f"the cluster's configuration: {error}") from error
    return Fetched(
        configuration.defaulted(Configuration(init, cluster), host.name, host.address),
        ours or layout.FOREIGN,
        await _kubelet_config(client, cluster.kubernetes_version),
        (await _config_map(client, objects.PROXY_CONFIG)).get(objects.PROXY_KEY, "") if ours is not None else "",
        ours is None,
    )


async def has_config_map(client: RESTClient, name: str) -> bool:
    """Whether there is one of this name for kubeadm's parts, by which an add-on is known to have been deployed. StatusError."""
    return bool(await _config_map(client, name))


async def _config_map(client: RESTClient, name: str) -> dict[str, str]:
    """Its data; empty where there is none."""
    try:
        return dict((await client.get(core_v1.ConfigMap, name, objects.KUBE_SYSTEM)).data)
    except StatusError as error:
        if error.code in (403, 404):  # who may read one by its name alone is refused where nobody has made it
            return {}
        raise


async def _kubelet_config(client: RESTClient, version: str) -> str:
    """Under its present name, or the one with the version, as before 1.24."""
    for name in (objects.KUBELET_CONFIG, objects.older_kubelet_config(version)):
        document = (await _config_map(client, name)).get(objects.KUBELET_KEY, "")
        if document:
            return document
    raise Failure(
        f"the cluster has no ConfigMap kube-system/{objects.KUBELET_CONFIG}: run `pybernetes init phase upload-config all` there"
    )
