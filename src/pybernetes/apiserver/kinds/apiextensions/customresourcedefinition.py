"""CustomResourceDefinition of apiextensions.k8s.io/v1 (upstream: apiextensions-apiserver pkg/apis/apiextensions,
pkg/registry/customresourcedefinition).

What it takes to check one lies in `apiserver/crd`, loaded with the first that is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...resource import Errors, Object, Resource
from ..strategy import keep_spec, keep_status

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
PORT = 443


def default(crd: Object) -> None:
    """SetDefaults_CustomResourceDefinitionSpec, ..._ServiceReference."""
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    kind = names.get("kind") or ""
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    conversion = spec.get("conversion")
    if conversion is None:
        spec["conversion"] = {"strategy": "None"}
        return
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None and service.get("port") is None:
        service["port"] = PORT


def prepare_create(crd: Object) -> None:
    """The status says but which version is stored."""
    crd["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None}
    _note_stored(crd)


def prepare_update(new: Object, old: Object) -> None:
    """The status stays, with the version that is stored now."""
    keep_status(new, old)
    if "status" in new:
        new["status"] = dict(new["status"])
    _note_stored(new)


def _note_stored(crd: Object) -> None:
    """The first version that is marked as stored; that there is no second is for the checks to say."""
    versions = (crd.get("spec") or {}).get("versions") or ()
    storage = next((version.get("name") for version in versions if version.get("storage")), None)
    status = crd.setdefault("status", {})
    present = status.get("storedVersions")
    if storage is not None and storage not in (present or ()):
        status["storedVersions"] = [*(present or ()), storage]


def validate(crd: Object) -> Errors:
    """ValidateCustomResourceDefinition."""
    from ...crd import definition  # with the first definition only

    return definition.validate(crd)


def validate_update(new: Object, old: Object) -> Errors:
    """ValidateCustomResourceDefinitionUpdate."""
    from ...crd import definition  # as above

    return definition.validate_update(new, old)


def validate_status(new: Object, old: Object) -> Errors:
    """ValidateUpdateCustomResourceDefinitionStatus."""
    from ...crd import definition  # as above

    return definition.validate_status(new)


def warnings(new: Object, old: Object | None) -> Sequence[str]:
    """What this server does not enforce of it."""
    from ...crd import definition  # as above

    return definition.warnings(new)


def deleting(crd: Object, now: str) -> None:
    """Its objects go first."""
    from ...crd import conditions  # as above

    metadata = crd["metadata"]
    if FINALIZER not in (metadata.get("finalizers") or ()):
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), FINALIZER]
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    conditions.put(crd, "Terminating", "True", "InstanceDeletionPending", message, now)


def _compile() -> Any:
    from ...crd.props import DefinitionSchema  # as above

    return DefinitionSchema.made()


RESOURCE = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    name="customresourcedefinitions",
    kind="CustomResourceDefinition",
    schema="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    compile=_compile,
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    status=True,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    own_deletion=True,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=warnings,
    allow_unconditional_update=False,
    known_finalizers=False,
    deleting=deleting,
)
