"""Plug-ins of admission that are off by default, switched on by the flag."""

from __future__ import annotations

import signal
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from .serverprocess import Running

PLUGINS = "NamespaceAutoProvision,OwnerReferencesPermissionEnforcement"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    with (tmp_path / "tokens").open("a") as tokens:
        tokens.write("weak,joe,2\n")
    server.flags += [
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        f"--enable-admission-plugins={PLUGINS}",
    ]
    server.start()
    yield server
    server.kill(signal.SIGTERM)


def test_a_namespace_comes_along_and_owners_need_rights(server: Running) -> None:
    server.ask("POST", "/api/v1/namespaces/fresh/configmaps", {"metadata": {"name": "a"}})
    fresh = server.ask("GET", "/api/v1/namespaces/fresh")
    assert fresh["status"]["phase"] == "Active"
    assert fresh["metadata"]["labels"] == {"kubernetes.io/metadata.name": "fresh"}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]
    server.ask("POST", f"{rbac}/namespaces/fresh/roles", {"metadata": {"name": "r"}, "rules": rules})
    role, joe = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}, {"kind": "User", "name": "joe"}
    binding = {"metadata": {"name": "b"}, "roleRef": role, "subjects": [joe]}
    server.ask("POST", f"{rbac}/namespaces/fresh/rolebindings", binding)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1", "blockOwnerDeletion": True}
    owned = {"metadata": {"name": "b", "ownerReferences": [owner]}}
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.ask("POST", "/api/v1/namespaces/fresh/configmaps", owned, token="weak")
    with caught.value as answer:
        assert answer.code == 403 and b"a resource you can't set finalizers on" in answer.read()
    owner["blockOwnerDeletion"] = False
    server.ask("POST", "/api/v1/namespaces/fresh/configmaps", owned, token="weak")
    server.ask("POST", "/api/v1/namespaces/fresh/configmaps", {"metadata": {"name": "c", "ownerReferences": [owner]}})
