"""storage.k8s.io/v1beta1 and v1alpha1 (until 1.22, storage capacities until 1.27): the fields of v1 under another name."""

from __future__ import annotations

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Errors, Object
from ..validation import go_names, same
from ..versions import Family, family, older
from . import csidriver, csinode, csistoragecapacity, storageclass, volumeattachment

BETA, ALPHA = "storage.v1beta1", "storage.v1alpha1"


def validate_attachment(attachment: Object) -> Errors:
    """The name of the driver is not looked at."""
    return volumeattachment.validate(attachment, any_driver=True)


def validate_attachment_update(new: Object, old: Object) -> Errors:
    """The spec stays."""
    return volumeattachment.validate_update(new, old, any_driver=True)


def validate_driver_update(new: Object, old: Object) -> Errors:
    """All of the spec stays."""
    errors, spec = csidriver.validate(new), new.get("spec") or {}
    if not same(spec, old.get("spec") or {}):
        errors.append(field.invalid(Path("spec"), go_names(spec), "field is immutable"))
    return errors


ATTACHMENT = {"status": False, "validate": validate_attachment, "validate_update": validate_attachment_update}

FAMILIES: tuple[Family, ...] = (
    *(family(hub, older(hub, BETA)) for hub in (csinode.RESOURCE, csistoragecapacity.RESOURCE, storageclass.RESOURCE)),
    family(csidriver.RESOURCE, older(csidriver.RESOURCE, BETA, validate_update=validate_driver_update)),
    family(
        volumeattachment.RESOURCE,
        older(volumeattachment.RESOURCE, BETA, **ATTACHMENT),
        older(volumeattachment.RESOURCE, ALPHA, status=False),
    ),
)
