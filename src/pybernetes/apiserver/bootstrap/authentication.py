"""kube-system/extension-apiserver-authentication: how extension API servers know who asks, as this one does
(upstream: pkg/controlplane/controller/clusterauthenticationtrust)."""

from __future__ import annotations

from collections.abc import Mapping

from .storage import Storage

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"


async def publish(maps: Storage, data: Mapping[str, str]) -> None:
    """Keys that others have put there stay."""
    if not data:
        return
    present = maps.get(NAMESPACE, NAME)
    if present is None:
        await maps.create(NAMESPACE, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": dict(data)})
    elif any((present.get("data") or {}).get(key) != value for key, value in data.items()):
        await maps.update(NAMESPACE, {**present, "data": {**(present.get("data") or {}), **data}})
