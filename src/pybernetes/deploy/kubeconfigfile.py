"""What stands in a kubeconfig: written and read; pure (upstream: cmd/kubeadm/app/util/kubeconfig)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from pybernetes.pki.files import Pair


def with_certificate(server: str, authority: bytes, cluster: str, user: str, pair: Pair) -> dict[str, Any]:
    """A kubeconfig with everything in it."""
    credentials = {"client-certificate-data": _data(pair.certificate), "client-key-data": _data(pair.key)}
    return _document(server, authority, cluster, user, credentials)


def with_token(server: str, authority: bytes, cluster: str, user: str, token: str) -> dict[str, Any]:
    """The same with a bearer token in place of a certificate."""
    return _document(server, authority, cluster, user, {"token": token})


def anonymous(server: str, authority: bytes) -> dict[str, Any]:
    """Where a cluster is and who stands for it; nobody's credentials (kube-public/cluster-info)."""
    return {
        "apiVersion": "v1",
        "clusters": [{"name": "", "cluster": {"certificate-authority-data": _data(authority), "server": server}}],
        "contexts": None,
        "current-context": "",
        "kind": "Config",
        "preferences": {},
        "users": None,
    }


def text(document: dict[str, Any]) -> str:
    """YAML, the keys in their order as client-go writes them."""
    import yaml

    # libyaml's where it is there: a test cluster would spend a tenth of its start on it.
    text: str = yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), width=2**20)
    return text


def current(document: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(cluster, user) of the current context of a kubeconfig, None where these are not in it."""
    try:
        contexts, clusters, users = (
            {entry["name"]: entry[kind] or {} for entry in document.get(f"{kind}s") or ()}
            for kind in ("context", "cluster", "user")
        )
        context = contexts[document["current-context"]]
        return clusters[context["cluster"]], users.get(context.get("user"), {})
    except (LookupError, TypeError, AttributeError):
        return None


def authority_of(cluster: dict[str, Any]) -> bytes | Path:
    """The CA of a kubeconfig's cluster: PEM, or the file that holds it, relative to the kubeconfig. ValueError for what is no base64."""
    data = cluster.get("certificate-authority-data")
    return base64.b64decode(data, validate=True) if data else Path(cluster.get("certificate-authority") or "")


def _document(server: str, authority: bytes, cluster: str, user: str, credentials: dict[str, str]) -> dict[str, Any]:
    context = f"{user}@{cluster}"
    return {
        "apiVersion": "v1",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _data(authority), "server": server}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "kind": "Config",
        "users": [{"name": user, "user": credentials}],
    }


def _data(content: bytes) -> str:
    return base64.b64encode(content).decode()
