"""What may change in a pod, its status, its resources and its ephemeral containers (upstream: core validation, ValidatePod*Update)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from pybernetes.api import field, pods
from pybernetes.api.field import Path
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.wellknown import APP_ARMOR_CONTAINER_ANNOTATION_PREFIX, MIRROR_POD_ANNOTATION

from ..validation import (
    MAX_INT32,
    WHOLE_OBJECT,
    Errors,
    difference,
    dns_subdomain,
    dual_stack,
    identity,
    immutable,
    range_error,
    same,
    valid_ip,
)
from . import containerstatus
from .affinity import tolerations
from .containers import image_without_spaces
from .podspec import condition_types, pod_annotations, pod_spec
from .profiles import fields_match

Object = Mapping[str, Any]
SPEC, META, STATUS = Path("spec"), Path("metadata"), Path("status")

UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def whole_pod(pod: Object) -> Errors:
    """The checks of metadata and spec that creation and updates share (validatePodMetadataAndSpec)."""
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    errors = pod_annotations(META / "annotations", meta.get("annotations"), spec)
    static = MIRROR_POD_ANNOTATION in (meta.get("annotations") or {})
    errors += pod_spec(SPEC, spec, pod_name=meta.get("name") or "", in_pod=True, static=static)
    if not spec.get("serviceAccountName"):
        errors += _tokens_without_account(spec)
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            image = container.get("image") or ""
            if image != image.strip():
                errors += image_without_spaces(SPEC / kind / index, container)
    return errors


def _tokens_without_account(spec: Object) -> Errors:
    errors: Errors = []
    for index, volume in enumerate(spec.get("volumes") or ()):
        for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                at = SPEC / "volumes" / index / "projected" / "sources" / number / "serviceAccountToken"
                errors.append(field.forbidden(at, "must not be specified when serviceAccountName is not set"))
    return errors


def validate_create(pod: Object) -> Errors:
    """A new pod."""
    spec = pod.get("spec") or {}
    errors = whole_pod(pod)
    if spec.get("ephemeralContainers"):
        errors.append(field.forbidden(SPEC / "ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        why = "cannot be set until all schedulingGates have been cleared"
        errors.append(field.forbidden(SPEC / "nodeName", why))
    return errors + fields_match(SPEC, (pod.get("metadata") or {}).get("annotations") or {}, spec)


def _annotation_updates(new: Object, old: Object) -> Errors:
    errors: Errors = []
    after = (new.get("metadata") or {}).get("annotations") or {}
    before = (old.get("metadata") or {}).get("annotations") or {}
    for key in before:
        if after.get(key) == before[key] and key in after:
            continue
        if key.startswith(APP_ARMOR_CONTAINER_ANNOTATION_PREFIX):
            why = "may not remove or update AppArmor annotations"
            errors.append(field.forbidden((META / "annotations").key(key), why))
        if key == MIRROR_POD_ANNOTATION:
            why = "may not remove or update mirror pod annotation"
            errors.append(field.forbidden((META / "annotations").key(key), why))
    for key in after:
        if key in before:
            continue
        if key.startswith(APP_ARMOR_CONTAINER_ANNOTATION_PREFIX):
            errors.append(field.forbidden((META / "annotations").key(key), "may not add AppArmor annotations"))
        if key == MIRROR_POD_ANNOTATION:
            errors.append(field.forbidden((META / "annotations").key(key), "may not add mirror pod annotation"))
    return errors + pod_annotations(META / "annotations", after, new.get("spec") or {})


# --- spec ---------------------------------------------------------------------------------------


def validate_update(new: Object, old: Object) -> Errors:
    """PUT or PATCH of a pod: images and little else."""
    errors = whole_pod(new) + _annotation_updates(new, old)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for kind in ("containers", "initContainers"):
        if len(spec.get(kind) or ()) != len(before.get(kind) or ()):
            return [*errors, field.forbidden(SPEC / kind, "pod updates may not add or remove containers")]
        for index, container in enumerate(spec.get(kind) or ()):  # once more, as upstream
            if not container.get("image"):
                errors.append(field.required(SPEC / kind / index / "image"))
            errors += image_without_spaces(SPEC / kind / index, container)
    problems, stop = _deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    errors += problems
    if stop:
        return errors
    errors += _only_added_tolerations(spec.get("tolerations") or (), before.get("tolerations") or ())
    gates = {gate.get("name") or "" for gate in before.get("schedulingGates") or ()}
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        if gate.get("name") not in gates:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            errors.append(field.forbidden(SPEC / "schedulingGates" / index / "name", why))
    if same(spec, before):
        return errors
    masked = _masked(spec, before)
    if gates:
        errors += _gated(masked, before)
    if not same(masked, before):
        lines = "\n".join(difference(before, masked))
        why = f"pod updates may not change fields other than {UPDATABLE}\n{lines}\n"
        errors.append(field.forbidden(SPEC, why))
    return errors


def _deadline(new: int | None, old: int | None) -> tuple[Errors, bool]:
    at = SPEC / "activeDeadlineSeconds"
    if new is None:
        why = "must not update from a positive integer to nil value"
        return ([field.invalid(at, None, why)] if old is not None else []), False
    if not 0 <= new <= MAX_INT32:
        return [field.invalid(at, new, range_error(0, MAX_INT32))], True
    if old is not None and old < new:
        return [field.invalid(at, new, "must be less than or equal to previous value")], True
    return [], False


def _only_added_tolerations(new: Sequence[Object], old: Sequence[Object]) -> Errors:
    def fixed(toleration: Object) -> Hashable:
        return identity({key: value for key, value in toleration.items() if key != "tolerationSeconds" and value})

    kept = {fixed(toleration) for toleration in new}
    if any(fixed(toleration) not in kept for toleration in old):
        why = "existing toleration can not be modified except its tolerationSeconds"
        return [field.forbidden(SPEC / "tolerations", why)]
    return tolerations(SPEC / "tolerations", new)


def _masked(spec: Object, before: Object) -> dict[str, Any]:
    """The new spec with everything that may change as it was."""
    masked = dict(spec)
    for kind in ("containers", "initContainers"):
        pairs = zip(spec.get(kind) or (), before.get(kind) or (), strict=True)
        masked[kind] = [{**container, "image": was.get("image")} for container, was in pairs]
    for name in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        masked[name] = before.get(name)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        masked["terminationGracePeriodSeconds"] = grace
    return masked


def _gated(masked: dict[str, Any], before: Object) -> Errors:
    """Before a pod may be scheduled its node selector and required node affinity may be narrowed."""
    errors: Errors = []
    selector, was = masked.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(selector.get(key) != value for key, value in was.items()):
        why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(field.invalid(SPEC / "nodeSelector", selector, why))
    masked["nodeSelector"] = before.get("nodeSelector")
    new_affinity = dict(masked.get("affinity") or {})
    old_affinity = before.get("affinity") or {}
    new_node, old_node = new_affinity.pop("nodeAffinity", None) or {}, old_affinity.get("nodeAffinity") or {}
    if not same(new_node, old_node):
        errors += _narrowed(new_node, old_node)
        masked["affinity"] = {**new_affinity, "nodeAffinity": old_node}
    return errors


def _narrowed(new: Object, old: Object) -> Errors:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    at = SPEC / "affinity" / "nodeAffinity" / required
    before = (old.get(required) or {}).get("nodeSelectorTerms") or []
    after = (new.get(required) or {}).get("nodeSelectorTerms") or []
    if not before:
        return []
    if len(before) != len(after):
        why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [field.invalid(at / "nodeSelectorTerms", after, why)]
    errors: Errors = []
    for index, (one, other) in enumerate(zip(before, after, strict=True)):
        for key in ("matchExpressions", "matchFields"):
            had, has = one.get(key) or [], other.get(key) or []
            empty = not (one.get("matchExpressions") or one.get("matchFields"))
            if has[: len(had)] != had or (empty and has):
                why = "only additions are allowed (no mutations or deletions)"
                errors.append(field.invalid(at / "nodeSelectorTerms" / index, other, why))
                break
    return errors


# --- status -------------------------------------------------------------------------------------


def validate_status(new: Object, old: Object) -> Errors:
    """PUT or PATCH of .../status."""
    spec, status, before = new.get("spec") or {}, new.get("status") or {}, old.get("status") or {}
    was = old.get("spec") or {}
    errors = _annotation_updates(new, old)
    errors += condition_types(STATUS / "conditions", status.get("conditions") or ())
    if (spec.get("nodeName") or "") != (was.get("nodeName") or ""):
        errors.append(field.forbidden(STATUS / "nodeName", "may not be changed directly"))
    errors += _nomination(status.get("nominatedNodeName") or "", before.get("nominatedNodeName") or "", was)
    if (number := status.get("observedGeneration") or 0) < 0:
        errors.append(field.invalid(STATUS / "observedGeneration", number, "must be a non-negative integer"))
    errors += immutable(STATUS / "qosClass", status.get("qosClass") or "", before.get("qosClass") or "")
    errors += _transitions(status, before, was)
    errors += _claim_statuses(status.get("resourceClaimStatuses") or (), spec.get("resourceClaims") or ())
    errors += _addresses(STATUS / "podIPs", status.get("podIPs") or [], before.get("podIPs") or [])
    if hosts := status.get("hostIPs"):
        if hosts[0].get("ip") != (status.get("hostIP") or ""):
            at = STATUS / "hostIPs" / 0 / "ip"
            errors.append(field.invalid(at, hosts[0].get("ip") or "", "must be equal to `hostIP`"))
        errors += _addresses(STATUS / "hostIPs", hosts, before.get("hostIPs") or [])
    return errors + containerstatus.validate(STATUS, status, spec)


def _nomination(name: str, before: str, spec: Object) -> Errors:
    if not name or name == before:
        return []
    at = STATUS / "nominatedNodeName"
    errors = dns_subdomain(at, name)
    if spec.get("nodeName"):
        errors.append(field.forbidden(at, "may not be set on pods that are already bound to a node"))
    return errors


def _transitions(status: Object, before: Object, spec: Object) -> Errors:
    """Containers that are not restarted stay terminated."""
    policy = spec.get("restartPolicy") or ""
    init, regular = spec.get("initContainers") or (), spec.get("containers") or ()
    sidecars = {c.get("name") for c in init if c.get("restartPolicy") == "Always"}
    own = {c.get("name"): c for c in reversed(regular)}

    def regular_may(name: Any, code: int) -> bool:
        return name in own and containerstatus.restarts(own[name], policy, code)

    def init_may(name: Any, code: int) -> bool:
        return policy == "Always" or (code != 0 and policy == "OnFailure") or name in sidecars

    errors: Errors = []
    for kind, may in (
        ("containerStatuses", regular_may),
        ("initContainerStatuses", init_may),
        ("ephemeralContainerStatuses", lambda name, code: False),
    ):
        running = {c.get("name") for c in status.get(kind) or () if (c.get("state") or {}).get("terminated") is None}
        for index, container in enumerate(before.get(kind) or ()):
            ended, name = (container.get("state") or {}).get("terminated"), container.get("name")
            if ended is not None and name in running and not may(name, ended.get("exitCode") or 0):
                why = "may not be transitioned to non-terminated state"
                errors.append(field.forbidden(STATUS / kind / index / "state", why))
    return errors


def _claim_statuses(statuses: Sequence[Object], claims: Sequence[Object]) -> Errors:
    errors: Errors = []
    pod_claims = {claim.get("name") for claim in claims}
    seen: set[str] = set()
    for index, status in enumerate(statuses):
        at, name = STATUS / "resourceClaimStatuses" / index / "name", status.get("name") or ""
        if name not in pod_claims:
            errors.append(field.invalid(at, name, "must match the name of an entry in `spec.resourceClaims`"))
        if name in seen:
            errors.append(field.duplicate(at, name))
        seen.add(name)
        if claim := status.get("resourceClaimName"):
            errors += dns_subdomain(at, claim)
    return errors


def _addresses(path: Path, items: Sequence[Object], before: Sequence[Object]) -> Errors:
    errors: Errors = []
    texts, existing = [item.get("ip") or "" for item in items], [item.get("ip") or "" for item in before]
    for index, text in enumerate(texts):
        errors += valid_ip(path / index, text, existing)
    if len(texts) > 1 and (len(texts) > 2 or not dual_stack(texts)):
        why = "may specify no more than one IP for each IP family"
        errors.append(field.invalid(path, [{"IP": text} for text in texts], why))
    return errors


# --- subresources -------------------------------------------------------------------------------


def validate_ephemeral_containers(new: Object, old: Object) -> Errors:
    """PUT or PATCH of .../ephemeralcontainers: only additions."""
    if MIRROR_POD_ANNOTATION in ((old.get("metadata") or {}).get("annotations") or {}):
        return [field.forbidden(WHOLE_OBJECT, "static pods do not support ephemeral containers")]
    errors = whole_pod(new) + _annotation_updates(new, old)
    at = SPEC / "ephemeralContainers"
    named = {c.get("name"): c for c in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in named:
            why = f"existing ephemeral containers {field.quote(name)} may not be removed\n"
            errors.append(field.forbidden(at, why))
        elif not same(container, named[name]):
            lines = "\n".join(difference(container, named[name]))
            why = f"existing ephemeral containers {field.quote(name)} may not be changed\n{lines}\n"
            errors.append(field.forbidden(at, why))
    return errors


def validate_resize(new: Object, old: Object) -> Errors:
    """PUT or PATCH of .../resize: requests and limits of processors and memory."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if any((s.get("resources") or {}).get(k) for s in (spec, before) for k in ("requests", "limits")):
        return [field.forbidden(WHOLE_OBJECT, "pods with pod-level resources cannot be resized")]
    if MIRROR_POD_ANNOTATION in ((old.get("metadata") or {}).get("annotations") or {}):
        return [field.forbidden(WHOLE_OBJECT, "static pods cannot be resized")]
    if (before.get("os") or {}).get("name") == "windows":
        return [field.forbidden(WHOLE_OBJECT, "windows pods cannot be resized")]
    errors = whole_pod(new)
    was = (old.get("status") or {}).get("qosClass") or pods.qos_class(pods.resources_of(before))
    if was != pods.qos_class(pods.resources_of(spec)):
        errors.append(field.invalid(SPEC, was, "Pod QOS Class may not change as a result of resizing"))
    running = [
        c for c in (old.get("status") or {}).get("containerStatuses") or () if (c.get("state") or {}).get("running")
    ]
    if running and running[0].get("resources") is None:
        errors.append(field.forbidden(SPEC, "Pod running on node without support for resize"))
    if moved := _order(spec, before):
        return errors + moved
    for kind in ("initContainers", "containers"):
        for index, (container, old_container) in enumerate(_pairs(kind, spec, before)):
            if kind == "containers" or container.get("restartPolicy") == "Always":
                errors += _removed(SPEC / kind / index / "resources", container, old_container)
    masked = json_copy(dict(spec))
    for kind in ("containers", "initContainers"):
        for container, old_container in _pairs(kind, masked, before):
            errors += _fixed(kind, container, old_container)
    if not errors and not same(masked, before):
        errors.append(field.forbidden(SPEC, "only cpu and memory resources are mutable"))
    return errors


def _pairs(kind: str, new: Object, old: Object) -> zip[tuple[Any, Any]]:
    return zip(new.get(kind) or (), old.get(kind) or (), strict=True)


def _order(new: Object, old: Object) -> Errors:
    """The same containers in the same order."""
    errors: Errors = []
    for kind in ("containers", "initContainers"):
        names, before = ([c.get("name") for c in s.get(kind) or ()] for s in (new, old))
        if len(names) != len(before):
            errors.append(field.forbidden(SPEC / kind, f"{kind} may not be added or removed on resize"))
            continue
        why = f"{kind} may not be renamed or reordered on resize"
        changed = [index for index, name in enumerate(names) if name != before[index]]
        errors += [field.forbidden(SPEC / kind / index / "name", why) for index in changed]
    return errors


def _removed(path: Path, container: Object, before: Object) -> Errors:
    new, old = container.get("resources") or {}, before.get("resources") or {}
    gone = [kind for kind in ("requests", "limits") if set(old.get(kind) or ()) - set(new.get(kind) or ())]
    return [field.forbidden(path / kind, f"resource {kind} cannot be removed") for kind in gone]


def _fixed(kind: str, container: dict[str, Any], before: Object) -> Errors:
    """One container; what may change in it is set back, so that the caller sees what else did."""
    if kind == "initContainers" and container.get("restartPolicy") != "Always":
        why = "resources for non-sidecar init containers are immutable"
        return [] if same(container, before) else [field.forbidden(SPEC, why)]
    new, old = container.get("resources") or {}, before.get("resources") or {}
    fixed = {k: _without_compute(new.get(k), old.get(k)) for k in ("requests", "limits")}
    container["resources"] = {key: value for key, value in fixed.items() if value}
    if same(container, before):
        return []
    sort = "resources for sidecar containers" if kind == "initContainers" else "resources"
    return [field.forbidden(SPEC, f"only cpu and memory {sort} are mutable")]


def _without_compute(new: Mapping[str, str] | None, old: Mapping[str, str] | None) -> dict[str, str]:
    if not old:
        return {}
    kept = {key: text for key, text in (new or {}).items() if key not in ("cpu", "memory")}
    return {**kept, **{key: text for key, text in (old or {}).items() if key in ("cpu", "memory")}}
