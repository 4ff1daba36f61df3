"""What the flags --oidc-* say, as an entry of AuthenticationConfiguration (upstream: pkg/kubeapiserver/options/authentication.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..configdocument import Object

UNPREFIXED = "-"  # of --oidc-username-prefix


def document(
    *,
    issuer: str,
    client: str,
    username_claim: str,
    username_prefix: str,
    groups_claim: str,
    groups_prefix: str,
    required: Mapping[str, str],
    authority: str,
) -> Object:
    """Of the shape that `configuration.check` takes. `authority` is PEM, "" for the system's."""
    prefix = username_prefix
    if not prefix and username_claim != "email":
        prefix = f"{issuer}#"  # lest users of two issuers be one
    if prefix == UNPREFIXED:
        prefix = ""
    mappings: Object = {"username": {"claim": username_claim, "prefix": prefix}}
    if groups_claim:
        mappings["groups"] = {"claim": groups_claim, "prefix": groups_prefix}
    jwt: Object = {"issuer": {"url": issuer, "audiences": [client]}, "claimMappings": mappings}
    if authority:
        jwt["issuer"]["certificateAuthority"] = authority
    if required:
        rules = [{"claim": claim, "requiredValue": value} for claim, value in required.items()]
        jwt["claimValidationRules"] = rules
    return {"jwt": [jwt]}
