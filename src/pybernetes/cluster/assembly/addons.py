"""Cluster DNS and further add-ons, and the image that its pods run: the project's own where no other is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pybernetes.component.command import Failure
from pybernetes.deploy import layout, types
from pybernetes.deploy.componentconfigs import dns_address
from pybernetes.deploy.configuration import IMAGE_REPOSITORY, Configuration
from pybernetes.localpath.options import ROOT

from .. import addons
from ..addons import dns
from ..apply import Manifest
from ..host import HostError
from ..image import ADD_ONS, Contents, ImageError, ImageInfo, build
from .facts import DOCKER

IMAGES = Path("/var/lib/pybernetes/images")


def own_image(dns_settings: types.DNS) -> bool:
    """Whether pods of cluster DNS run the project's image."""
    return not dns_settings.image_tag


def give_image(contents: Contents = ADD_ONS) -> ImageInfo:
    """Has this host's Docker know an image of the project. Failure."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    try:
        packed = build(IMAGES, contents)
        addons.load_image(DOCKER, packed)
    except (HostError, ImageError) as error:
        raise Failure(f"the image {contents.full_name}: {error}") from error
    return packed


def further(chosen: layout.AddOnsLayout, image: str) -> dict[str, list[Manifest]]:
    """Those of the layout, by name. Kubelets of such clusters sign their serving certificates themselves, as kubeadm's do."""
    manifests = {}
    if chosen.metrics_server:
        manifests["metrics-server"] = addons.metrics_server_manifests(image, verified=False)
    if chosen.local_path:
        manifests["local-path"] = addons.local_path_manifests(image, ROOT)
    return manifests


def dns_manifests(configuration: Configuration, image: str) -> list[Manifest]:
    """As kubeadm deploys it, but for its replicas: they never share a host, as two on a master that was alone once would for ever."""
    cluster = configuration.cluster
    given = cluster.dns
    if not own_image(given):
        # Only upstream's own registry has a folder for it.
        general = (
            f"{IMAGE_REPOSITORY}/coredns" if cluster.image_repository == IMAGE_REPOSITORY else cluster.image_repository
        )
        image = f"{given.image_repository or general}/coredns:{given.image_tag}"
    manifests = dns.manifests(image, dns_address(cluster.networking.service_subnet), cluster.networking.dns_domain)
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
