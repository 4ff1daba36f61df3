"""What is put into a cluster beside its parts: RBAC bindings, the project's own image, cluster DNS, metrics, storage, ways in."""

from __future__ import annotations

import importlib.resources
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..apply import Manifest, load
from ..host import HostError, find
from ..layout import Layout
from ..settings import ClusterConfig

if TYPE_CHECKING:
    from ..image import ImageInfo

LOAD_SECONDS = 120.0


def bindings() -> list[Manifest]:
    """Who of the parts may do what, beyond RBAC's bootstrap policy."""
    return load((importlib.resources.files("pybernetes") / "cluster/addons/bindings.yaml").read_text())


def ingress_class() -> list[Manifest]:
    """The class `nginx` of Ingresses, where they are served."""
    return load((importlib.resources.files("pybernetes") / "cluster/addons/ingress.yaml").read_text())


def load_balancer_manifests(image: str, pool: Sequence[str], reserved: Sequence[str]) -> list[Manifest]:
    """service-load-balancer on each node that takes users' pods. `pool` as of its flag, `reserved` ports of nodes."""
    name = "service-load-balancer"
    values = {"IMAGE": image, "POOL": ",".join(pool), "RESERVED": ",".join(reserved)}
    return [*_rights(name), *_manifests(f"{name}.yaml", **values)]


def ingress_manifests(image: str) -> list[Manifest]:
    """The class `nginx`, and nginx-ingress-controller on each node that takes users' pods."""
    name = "nginx-ingress-controller"
    return [*ingress_class(), *_rights(name), *_manifests(f"{name}.yaml", IMAGE=image)]


def _rights(name: str) -> list[Manifest]:
    """Those of `bindings` that a part of this name has, for its service account."""
    own = [manifest for manifest in bindings() if manifest["metadata"]["name"] == f"pybernetes:{name}"]
    for manifest in own:
        if "subjects" in manifest:
            manifest["subjects"] = [{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}]
    return own


def pack(layout: Layout) -> ImageInfo:
    """The project's image from the running installation; an old one stays if nothing has changed. HostError, OSError."""
    from ..image import ImageError, build  # reads the whole installation: not for those who only want manifests

    layout.images.mkdir(exist_ok=True)
    try:
        return build(layout.images)
    except ImageError as error:
        raise HostError(f"the image of the add-ons cannot be packed: {error}") from error


def load_image(docker: str, image: ImageInfo) -> str:
    """Gives it to Docker unless Docker has it; its name. HostError with Docker's words."""
    program = find("docker")
    if program is None:
        raise HostError("the program docker is missing: install docker.io")
    inspected = subprocess.run(
        [program, "-H", docker, "image", "inspect", "--format={{.Id}}", image.name], capture_output=True, text=True
    )
    if inspected.stdout.strip() != image.id:
        command = [program, "-H", docker, "load", "-q", "-i", str(image.path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS)
        except subprocess.TimeoutExpired:
            raise HostError(f"`{' '.join(command)}` took more than {LOAD_SECONDS:.0f} s") from None
        if done.returncode:
            raise HostError(f"docker load -i {image.path} failed: {done.stderr.strip()}")
    return image.name


def dns_manifests(settings: ClusterConfig, image: str) -> list[Manifest]:
    """Cluster DNS as kubeadm deploys it."""
    from . import dns

    return dns.manifests(image=image, cluster_ip=settings.dns_ip, domain=settings.domain)


def metrics_server_manifests(image: str, verified: bool) -> list[Manifest]:
    """As upstream's components.yaml; `verified`: kubelets' serving certificates are of the cluster's authority."""
    return _manifests("metrics-server.yaml", IMAGE=image, INSECURE="false" if verified else "true")


def local_path_manifests(image: str, root: str) -> list[Manifest]:
    """The provisioner on each node, with its volumes below `root`, and the default StorageClass."""
    return _manifests("local-path.yaml", IMAGE=image, ROOT=root)


def _manifests(name: str, **values: str) -> list[Manifest]:
    text = (importlib.resources.files("pybernetes") / "cluster/addons" / name).read_text()
    for key, value in values.items():
        text = text.replace(f"${{{key}}}", value)
    return load(text)
