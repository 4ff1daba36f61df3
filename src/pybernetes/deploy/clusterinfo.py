"""How a host that knows a token and a pin knows the cluster: kube-public/cluster-info; pure (upstream: .../discovery/token/token.go).

Anybody may read it, before any trust. Who knows a token's secret sees by the signature that somebody wrote it who knows the secret,
too; who knows the pin sees that the authority in it is the one meant, also where a token has leaked.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509

from pybernetes.controllers.bootstrap import tokens as signatures
from pybernetes.controllers.bootstrap.tokens import SIGNATURE, detached_signature
from pybernetes.pki.bundles import blocks
from pybernetes.pki.certificates import public_key_pin

from . import kubeconfigfile

NAMESPACE, NAME, KUBECONFIG = "kube-public", "cluster-info", signatures.KUBECONFIG
ANOTHER_TOKEN = "`pybernetes token create --print-join-command` on a control-plane host makes another one"


class DiscoveryError(Exception):
    """The cluster is not the one that was meant, or cannot be known; says what to do."""


class NotSigned(DiscoveryError):
    """It is not signed with this token, or not yet."""


def content(server: str, authority: bytes) -> str:
    """The kubeconfig in it: where the cluster is and what its authority is, nobody's credentials."""
    import yaml

    return yaml.safe_dump(kubeconfigfile.anonymous(server, authority), width=2**20)


def verified(data: Mapping[str, str], token_id: str, token_secret: str) -> str:
    """The kubeconfig of the ConfigMap's data, where the token signed it. DiscoveryError."""
    kubeconfig, signature = data.get(KUBECONFIG, ""), data.get(f"{SIGNATURE}{token_id}", "")
    if not kubeconfig:
        raise DiscoveryError(
            f"the cluster's {NAMESPACE}/{NAME} has no {KUBECONFIG}: run `pybernetes init phase bootstrap-token` there"
        )
    if not signature:
        raise NotSigned(
            f"the cluster knows no token {token_id}: it has ended, or is another cluster's; {ANOTHER_TOKEN}"
        )
    if not hmac.compare_digest(signature, detached_signature(kubeconfig, token_id, token_secret)):
        raise DiscoveryError(
            f"the secret of the token {token_id} is not the one that the cluster has: look at it again; {ANOTHER_TOKEN}"
        )
    return kubeconfig


def place(kubeconfig: str) -> tuple[str, bytes]:
    """(server, authorities in PEM) of such a kubeconfig. DiscoveryError."""
    import yaml

    try:
        document: Any = yaml.safe_load(kubeconfig)
        clusters = document["clusters"]
        current = kubeconfigfile.current(document)
        cluster = current[0] if current is not None else clusters[0]["cluster"]
        authority = kubeconfigfile.authority_of(cluster)
        server = str(cluster["server"])
    except (yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise DiscoveryError(
            f"the kubeconfig in {NAMESPACE}/{NAME} cannot be read: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(authority, bytes):
        raise DiscoveryError(f"the kubeconfig in {NAMESPACE}/{NAME} has no certificate-authority-data")
    return server, authority


def check_pins(authorities: bytes, pins: Sequence[str]) -> None:
    """That all of the authorities are pinned. DiscoveryError."""
    allowed = {pin.lower() for pin in pins}
    try:
        shown = [public_key_pin(block) for block in blocks(authorities) if x509.load_pem_x509_certificate(block)]
    except ValueError as error:
        raise DiscoveryError(f"the authority in {NAMESPACE}/{NAME} cannot be read: {error}") from error
    other = [pin for pin in shown if pin not in allowed]
    if other or not shown:
        raise DiscoveryError(
            f"the cluster's authority is {', '.join(other) or 'missing'}, not the pinned {', '.join(pins)}: this is another cluster than the one "
            f"that the hash is of, or somebody stands between; {ANOTHER_TOKEN}"
        )
