"""admissionregistration.k8s.io/v1beta1 (until 1.22): webhooks that may fail, match exactly, and say nothing of what they do besides.

Upstream: pkg/apis/admissionregistration/v1beta1/defaults.go; validation of both versions in pkg/apis/admissionregistration/validation.
"""

from __future__ import annotations

from ...resource import Errors, Object, Resource
from ..versions import Family, family, older
from . import mutatingwebhookconfiguration, validatingwebhookconfiguration, webhooks

TIMEOUT_SECONDS = 30


def _older(hub: Resource, mutating: bool) -> Resource:
    def default(configuration: Object) -> None:
        for hook in configuration.get("webhooks") or ():
            for name, value in (
                ("failurePolicy", "Ignore"),
                ("matchPolicy", "Exact"),
                ("sideEffects", "Unknown"),
                ("timeoutSeconds", TIMEOUT_SECONDS),
            ):
                if hook.get(name) is None:
                    hook[name] = value
            if not hook.get("admissionReviewVersions"):
                hook["admissionReviewVersions"] = ["v1beta1"]
        webhooks.default(configuration, mutating)

    def validate(configuration: Object) -> Errors:
        return webhooks.validate(configuration, mutating, beta=True)

    def validate_update(new: Object, old: Object) -> Errors:
        return webhooks.validate(new, mutating, old, beta=True)

    changes = {"default": default, "validate": validate, "validate_update": validate_update}
    return older(hub, "admissionregistration.v1beta1", **changes)


FAMILIES: tuple[Family, ...] = tuple(
    family(module.RESOURCE, _older(module.RESOURCE, mutating))
    for module, mutating in ((mutatingwebhookconfiguration, True), (validatingwebhookconfiguration, False))
)
