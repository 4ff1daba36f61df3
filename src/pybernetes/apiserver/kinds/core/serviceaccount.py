"""ServiceAccount of v1 (upstream: pkg/registry/core/serviceaccount)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...resource import Column, Object, Resource
from ..printing import AGE, NAME, object_age


def prepare(account: Object) -> None:
    """Of the references to secrets only names are kept."""
    if secrets := account.get("secrets"):
        account["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in secrets]


def prepare_update(new: Object, old: Object) -> None:
    """As on creation."""
    prepare(new)


def row(account: Object, now: datetime) -> list[Any]:
    """Name, Secrets, Age."""
    return [account["metadata"]["name"], len(account.get("secrets") or ()), object_age(account, now)]


RESOURCE = Resource(
    group="",
    version="v1",
    name="serviceaccounts",
    kind="ServiceAccount",
    schema="io.k8s.api.core.v1.ServiceAccount",
    returns_deleted=True,
    meta_again=1,
    short_names=("sa",),
    subresources=("token",),
    generation=False,
    prepare_create=prepare,
    prepare_update=prepare_update,
    columns=(NAME, Column("Secrets"), AGE),
    row=row,
)
