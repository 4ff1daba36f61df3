"""What says to others how service-account tokens are checked (upstream: pkg/serviceaccount/openidmetadata.go)."""

from __future__ import annotations

import msgspec

from pybernetes.wire.http import Response

from .keys import jwk
from .serviceaccount import TokenOptions

CONFIGURATION = "/.well-known/openid-configuration"
JWKS = "/openid/v1/jwks"
CACHE = ("Cache-Control", "public, max-age=3600")


def pages(options: TokenOptions) -> dict[str, Response]:
    """By path. None for issuers that are no https URL: nobody could fetch them there."""
    issuer = options.issuers[0] if options.issuers else ""
    if not issuer.startswith("https://"):
        return {}
    uri = options.jwks_uri or issuer.rstrip("/") + JWKS
    configuration = {
        "issuer": issuer,
        "jwks_uri": uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({key.algorithm for key in options.verifiers}),
    }
    keys = {"keys": [jwk(key) for key in options.verifiers]}
    return {
        CONFIGURATION: Response(200, (("Content-Type", "application/json"), CACHE), msgspec.json.encode(configuration)),
        JWKS: Response(200, (("Content-Type", "application/jwk-set+json"), CACHE), msgspec.json.encode(keys)),
    }
