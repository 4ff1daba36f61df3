"""Who is asked what one may, as the command line decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .abac import Policy
from .configuration import AuthorizerConfiguration


@dataclass(frozen=True, kw_only=True)
class AuthorizationOptions:
    """Of --authorization-config, or of --authorization-mode and its flags: then `path` is "", and nothing is followed."""

    authorizers: Sequence[AuthorizerConfiguration]
    policies: Sequence[Policy] = ()  # of --authorization-policy-file, for ABAC
    path: str = ""
    data: bytes = b""  # what the file held
