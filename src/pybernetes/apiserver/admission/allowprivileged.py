"""--allow-privileged=false: no privileged containers (upstream: pkg/capabilities, ValidateSecurityContext).

Upstream's validation of pods and pod templates asks a global; here it is a step at the end of the chain that no flag switches off.
"""

from __future__ import annotations

from pybernetes.api import errors, field
from pybernetes.api.field import Path

from ..types import Attributes
from .podsecurity import TEMPLATES, template_of

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
WHY = "disallowed by cluster policy"


class AllowPrivileged:
    """Refuses them."""

    name = "AllowPrivileged"
    resources = frozenset({("", "pods"), *TEMPLATES})

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> None:
        """422 for a pod, or the template of one, with a privileged container."""
        obj, resource = attributes.object, attributes.resource
        key = (resource.group, resource.name)
        if obj is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if key == ("", "pods"):
            fields: tuple[str, ...] = ()
            pod = obj if attributes.subresource in ("", "ephemeralcontainers") else None
        elif key in TEMPLATES and not attributes.subresource:
            fields = TEMPLATES[key]
            pod = template_of(obj, fields)
        else:
            return
        refusals = []
        for name in CONTAINERS:
            for index, container in enumerate((pod or {}).get("spec", {}).get(name) or ()):
                if (container.get("securityContext") or {}).get("privileged"):
                    path = Path(".".join((*fields, "spec"))) / name / index / "securityContext" / "privileged"
                    refusals.append(field.forbidden(path, WHY))
        if refusals:
            raise errors.invalid(resource.group, resource.kind, attributes.name, refusals)
