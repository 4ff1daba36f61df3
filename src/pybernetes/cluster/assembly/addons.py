"""Cluster DNS and further add-ons, and the images that their pods run: the project's own where no other is asked for."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybernetes.component.command import Failure
from pybernetes.deploy import layout, types
from pybernetes.deploy.componentconfigs import dns_address
from pybernetes.deploy.configuration import IMAGE_REPOSITORY, Configuration
from pybernetes.deploy.daemons.model import AddOns
from pybernetes.loadbalancer.options import OF_NGINX, RESERVED
from pybernetes.localpath.options import ROOT

from .. import addons
from ..addons import dns
from ..apply import Manifest, is_ours, remove
from ..host import HostError
from ..image import ADD_ONS, ALL, INGRESS, Contents, ImageError, ImageInfo, build
from .facts import DOCKER
from .work import Work

IMAGES = Path("/var/lib/pybernetes/images")


def own_image(dns_settings: types.DNS) -> bool:
    """Whether pods of cluster DNS run the project's image."""
    return not dns_settings.image_tag


def dns_image(cluster: types.ClusterConfiguration) -> str:
    """Somebody else's CoreDNS, "" for the project's own."""
    given = cluster.dns
    if own_image(given):
        return ""
    # Only upstream's own registry has a folder for it.
    general = (
        f"{IMAGE_REPOSITORY}/coredns" if cluster.image_repository == IMAGE_REPOSITORY else cluster.image_repository
    )
    return f"{given.image_repository or general}/coredns:{given.image_tag}"


def give_image(contents: Contents = ADD_ONS) -> ImageInfo:
    """Has this host's Docker know an image of the project. Failure."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    try:
        packed = build(IMAGES, contents)
        addons.load_image(DOCKER, packed)
    except (HostError, ImageError) as error:
        raise Failure(f"the image {contents.full_name}: {error}") from error
    return packed


def images(configuration: Configuration, described: layout.ClusterLayout) -> list[Contents]:
    """What pods of add-ons run, by which each node is to have it."""
    if described == layout.FOREIGN:
        return []
    by_name = {contents.name: contents for contents in ALL}
    return [by_name[name] for name in layout.images(configuration.cluster.dns, described.addons)]


@dataclass(frozen=True, slots=True)
class AddOn:
    """One of the layout's: what it is made of, the workload among it."""

    name: str
    enabled: bool
    manifests: list[Manifest]

    @property
    def workload(self) -> Manifest:
        """By which is seen whether it is there, and ours."""
        return next(one for one in self.manifests if one["kind"] in ("Deployment", "DaemonSet"))


def further(chosen: AddOns) -> list[AddOn]:
    """All that a layout may ask for. Kubelets of such clusters sign their serving certificates themselves, as kubeadm's do."""
    image, reserved = ADD_ONS.full_name, [*RESERVED, *(OF_NGINX if chosen.ingress else ())]
    balancer = addons.load_balancer_manifests(image, chosen.address_pool, reserved)
    return [
        AddOn("metrics-server", chosen.metrics_server, addons.metrics_server_manifests(image, verified=False)),
        AddOn("local-path", chosen.local_path, addons.local_path_manifests(image, ROOT)),
        AddOn("load-balancer", chosen.load_balancer, balancer),
        AddOn("ingress", chosen.ingress, addons.ingress_manifests(INGRESS.full_name)),
    ]


def bring(work: Work, phase: str) -> None:
    """Those that are asked for come, those that are not (any more) go, unless somebody else has put them there. Failure."""
    for one in further(work.layout.addons):
        if one.enabled:
            work.apply(one.manifests)
            work.tell(f"[{phase}] Applied addon: {one.name}")
        elif work.asked(functools.partial(is_ours, manifest=one.workload)):
            work.asked(functools.partial(remove, manifests=one.manifests))
            work.tell(f"[{phase}] Removed addon: {one.name}")


def dns_manifests(configuration: Configuration, image: str) -> list[Manifest]:
    """As kubeadm deploys it, but for its replicas: they never share a host, as two on a master that was alone once would for ever."""
    cluster = configuration.cluster
    given = cluster.dns
    manifests = dns.manifests(
        dns_image(cluster) or image, dns_address(cluster.networking.service_subnet), cluster.networking.dns_domain
    )
    return [
        _spread(manifest, own_image(given)) if manifest["kind"] == "Deployment" else manifest for manifest in manifests
    ]


def _spread(deployment: Manifest, ours: bool) -> Manifest:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    terms = spec["affinity"]["podAntiAffinity"].pop("preferredDuringSchedulingIgnoredDuringExecution")
    spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = [
        term["podAffinityTerm"] for term in terms
    ]
    if not ours:
        container = spec["containers"][0]
        container["args"] = container["args"][1:]  # its image knows the program
    return deployment
