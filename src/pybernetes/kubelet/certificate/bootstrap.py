"""The first client certificate, by the credentials of --bootstrap-kubeconfig (upstream: pkg/kubelet/certificate/bootstrap)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pybernetes.aio.clock import Clock
from pybernetes.client.kubeconfig import Config, ConfigError, load
from pybernetes.client.types import Client
from pybernetes.pki import keys
from pybernetes.pki.certificates import Leaf
from pybernetes.pki.files import write

from .plan import client_template, digested_name, unusable
from .signing import issue
from .store import FileStore

_log = logging.getLogger(__name__)

WAIT_SECONDS = 3600.0  # for somebody to approve
KEY_FILE = "kubelet-client.key.tmp"  # until there is a certificate of it


def store(directory: Path) -> FileStore:
    """Where the client certificate lies."""
    return FileStore(directory, "kubelet-client")


def needed(kubeconfig: Path, clock: Clock) -> str:
    """Why a kubeconfig is none to begin with, "" where it is: the API server takes a certificate in it still."""
    try:
        config = load(kubeconfig)
    except ConfigError as error:
        return str(error)
    try:
        leaf = Leaf.of(config.certificate) if config.certificate else None
    except ValueError as error:
        return f"the client certificate of {kubeconfig} cannot be read: {error}"
    reason = unusable(leaf, clock.now())
    return f"the client certificate of {kubeconfig} cannot be used: {reason}" if reason else ""


async def first_certificate(client: Client, clock: Clock, directory: Path, node: str) -> None:
    """Fills the store. SigningError, StoreError, OSError.

    The key is kept until then, so that a restart while nobody has approved comes back to the request it has made.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key_file = directory / KEY_FILE
    try:
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        key = None  # none yet, or not written to its end
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        key = keys.generate()
        directory.mkdir(parents=True, exist_ok=True)
        write(key_file, keys.private_pem(key))
    template = client_template(node)
    name = digested_name(keys.public_der(key.public_key()), template)
    pair = await issue(client, clock, key, template, WAIT_SECONDS, name)
    store(directory).update(pair, clock.now())
    key_file.unlink(missing_ok=True)


def write_kubeconfig(path: Path, bootstrap: Config, pair: Path) -> None:
    """The bootstrap one's server, and the certificate and key in one file, so that both change at once. OSError."""
    import yaml

    cluster: dict[str, Any] = {"server": bootstrap.server}
    if bootstrap.ca_file is not None:
        cluster["certificate-authority"] = str(bootstrap.ca_file.absolute())
    elif bootstrap.ca_data:
        import base64

        cluster["certificate-authority-data"] = base64.b64encode(bootstrap.ca_data).decode()
    if bootstrap.insecure_skip_tls_verify:
        cluster["insecure-skip-tls-verify"] = True
    if bootstrap.tls_server_name:
        cluster["tls-server-name"] = bootstrap.tls_server_name
    user = {"client-certificate": str(pair), "client-key": str(pair)}
    context = {"cluster": "default-cluster", "namespace": "default", "user": "default-auth"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default-cluster", "cluster": cluster}],
        "contexts": [{"name": "default-context", "context": context}],
        "current-context": "default-context",
        "users": [{"name": "default-auth", "user": user}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, yaml.safe_dump(document, sort_keys=False).encode())
