"""Admission DenyServiceExternalIPs (upstream: plugin/pkg/admission/network/denyserviceexternalips)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors

from ..types import Attributes

WHY = "Use of external IPs is denied by admission control."


class DenyServiceExternalIPs:
    """Nobody takes traffic of addresses that nobody has given him; what is there may stay, or go."""

    name = "DenyServiceExternalIPs"
    resources = frozenset({("", "services")})

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> None:
        """403 for new addresses."""
        service, resource = attributes.object, attributes.resource
        if service is None or (resource.group, resource.name) != ("", "services") or attributes.subresource:
            return
        if not _addresses(service) <= _addresses(attributes.old_object or {}):
            raise errors.forbidden("", "services", attributes.told_name, WHY)


def _addresses(service: dict[str, Any]) -> set[str]:
    return set((service.get("spec") or {}).get("externalIPs") or ())
