"""What a write makes of an object before it is checked: identity, system fields, what this way may not touch, generation. Pure.

Upstream: registry/rest/{create,update,meta}.go.
"""

from __future__ import annotations

from collections.abc import Callable

from pybernetes.api import errors, field
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.strconv import parse_uint

from ..resource import Errors, Object, Resource
from . import patching

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"

OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"


def no_creation(resource: Resource) -> StatusError:
    """405: the definition of the resource is being deleted."""
    refused = errors.method_not_supported(resource.group, resource.name, "create")
    refused.status["message"] = "create not allowed while custom resource definition is terminating"
    refused.status["details"] = {"group": resource.group, "kind": resource.name}
    return refused


def set_namespace(resource: Resource, metadata: Object, namespace: str) -> None:
    """Fills in the namespace of the URL, or clears it where there is none. StatusError 400 for another one."""
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    given = metadata.get("namespace") or namespace
    if given != namespace:
        raise errors.bad_request(OTHER_NAMESPACE)
    metadata["namespace"] = namespace


def check_identity(resource: Resource, new: Object, old: Object) -> None:
    """Of what a patch or an apply has made. StatusError 400 where it has another name or namespace than the object."""
    metadata, was = new.setdefault("metadata", {}), old["metadata"]["name"]
    set_namespace(resource, metadata, old["metadata"].get("namespace", ""))
    name = metadata.get("name", "")
    if not name:
        raise patching.unnamed(was)
    if name != was:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({was})")


def no_checks(new: Object, old: Object) -> Errors:
    """Of what its handler has checked, and which sets what an update may not."""
    return []


def checks(resource: Resource, subresource: str) -> Callable[[Object, Object], Errors]:
    """The kind's checks (new, old) of a write through the subresource, "" for the object itself."""
    if subresource == "status":
        return resource.validate_status
    if subresource in resource.unchecked:
        return no_checks
    return resource.parts[subresource].validate if subresource in resource.parts else resource.validate_update


def require(resource: Resource, name: str, key: str, what: str, present: str, given: str) -> None:
    """StatusError 409 where the object at `key` is not the one that is meant by its "UID" or "ResourceVersion"; "" means any.

    The text is that of upstream's storage (apiserver/pkg/storage/{interfaces,errors}.go).
    """
    if given and given != present:
        why = f"Precondition failed: {what} in precondition: {given}, {what} in object meta: {present}"
        text = f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
        raise errors.conflict(resource.group, resource.name, name, text)


def preconditions(resource: Resource, old: Object, new: Object) -> None:
    """Of the resource version that the new object carries. StatusError 409, 422; 500 for one that is none."""
    metadata, was = new["metadata"], old["metadata"]
    version = metadata.get("resourceVersion", "")
    try:
        revision = parse_uint(version or "0")
    except ValueError as error:  # of which upstream makes no Status
        raise errors.unclassified(str(error)) from None
    if revision and version != was["resourceVersion"]:
        raise errors.conflict(resource.group, resource.name, was["name"], MODIFIED)
    if not revision and not resource.allow_unconditional_update:
        cause = field.invalid(Path("metadata") / "resourceVersion", 0, "must be specified for an update")
        raise errors.invalid(resource.invalid_group, resource.name, was["name"], [cause])


def keep_system_fields(new: Object, old: Object) -> None:
    """What nobody sets comes from the old object; another uid, and a deletion that nobody asked for, stay, and are found by the checks."""
    metadata, was = new["metadata"], old["metadata"]
    metadata["resourceVersion"] = was["resourceVersion"]
    metadata["uid"] = metadata.get("uid") or was["uid"]  # another one is refused, not ignored
    for name in ("creationTimestamp", "generation"):
        if name in was:
            metadata[name] = was[name]
        else:
            metadata.pop(name, None)
    if "deletionTimestamp" in was:
        metadata["deletionTimestamp"] = was["deletionTimestamp"]
    if "deletionGracePeriodSeconds" in was:
        metadata.setdefault("deletionGracePeriodSeconds", was["deletionGracePeriodSeconds"])
    metadata.pop("selfLink", None)
    if "namespace" in was:
        metadata.setdefault("namespace", was["namespace"])


def keep_again(resource: Resource, new: Object, old: Object, subresource: str) -> None:
    """What nobody may change, a webhook may not either."""
    managed = new.setdefault("metadata", {}).get("managedFields")
    keep_system_fields(new, old)
    prepare(resource, new, old, subresource)
    if managed:
        new["metadata"]["managedFields"] = managed


def prepare(resource: Resource, new: Object, old: Object, subresource: str) -> None:
    """What this write may not touch comes from the old object."""
    if subresource in resource.parts:
        resource.parts[subresource].prepare(new, old)
    elif subresource == "status":
        if resource.prepare_status:
            resource.prepare_status(new, old)
            return
        status = new.get("status")
        metadata = new["metadata"]
        new.clear()
        new.update(json_copy(old))
        new["metadata"] |= {name: metadata[name] for name in ("resourceVersion", "uid")}
        for name in ("labels", "annotations", "finalizers"):
            if name in metadata:
                new["metadata"][name] = metadata[name]
        if status is not None:
            new["status"] = status
    elif not subresource:
        if resource.status:
            if "status" in old:
                new["status"] = old["status"]
            else:
                new.pop("status", None)
        resource.prepare_update(new, old)


def bump_generation(resource: Resource, new: Object, old: Object) -> None:
    """One more where anything has changed that the generation counts."""
    ignored = resource.uncounted
    changed = {k: v for k, v in new.items() if k not in ignored} != {k: v for k, v in old.items() if k not in ignored}
    if resource.counts_annotations:
        after, before = (obj["metadata"].get("annotations") or {} for obj in (new, old))
        changed = changed or after != before
    if changed:
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
