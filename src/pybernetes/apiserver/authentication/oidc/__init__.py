"""Tokens of OpenID Connect issuers (upstream: apiserver/plugin/pkg/authenticator/token/oidc, coreos/go-oidc v2).

`jose` reads keys and checks signatures, `idtoken` what a token says of itself, `users` makes a user of its claims: all three are pure.
`keyset` fetches keys, `authenticator` is one issuer, `authenticators` are those of a configuration, which may follow its file.

Distributed claims (`_claim_names`) are left out: they are never fetched, a token that has some is taken for what else it says.
"""
