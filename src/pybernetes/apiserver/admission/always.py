"""Admission AlwaysAdmit and AlwaysDeny (upstream: plugin/pkg/admission/{admit,deny})."""

from __future__ import annotations

from pybernetes.api import errors

from ..types import EVERYTHING, Attributes


class AlwaysAdmit:
    """Lets everything through, as no plug-in would."""

    name = "AlwaysAdmit"
    resources = EVERYTHING

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> None:
        """Nothing is refused."""


class AlwaysDeny:
    """Nothing is written at all: for tests of clients."""

    name = "AlwaysDeny"
    resources = EVERYTHING

    def admit(self, attributes: Attributes) -> None:
        """403."""
        self.validate(attributes)

    def validate(self, attributes: Attributes) -> None:
        """403."""
        resource = attributes.resource
        raise errors.forbidden(
            resource.group, resource.name, attributes.told_name, "admission control is denying all modifications"
        )
