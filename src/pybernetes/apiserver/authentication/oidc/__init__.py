"""Tokens of OpenID Connect issuers (upstream: apiserver/plugin/pkg/authenticator/token/oidc, coreos/go-oidc v2).

`jose` reads keys and checks signatures, `idtoken` what a token says of itself, `users` makes a user of its claims: all three are pure.
`keyset` fetches keys, `verifier` knows what one issuer has signed, `distributed` fetches the claim of groups where a token leaves it to
another server (`claimsources`), `authenticator` is one issuer, `authenticators` are those of a configuration, which may follow its file.
"""
