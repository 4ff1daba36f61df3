"""Bootstrap tokens as kubeadm makes, shows and hands them on; pure (upstream: .../apis/bootstraptoken/v1/utils.go, cmd/kubeadm/app/cmd/token.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from pybernetes.api import bootstraptokens
from pybernetes.api.durations import parse_duration, short_human_duration
from pybernetes.api.field import quote
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1, meta_v1
from pybernetes.api.wellknown import (
    BOOTSTRAP_TOKEN_ID_KEY,
    BOOTSTRAP_TOKEN_SECRET_KEY,
    SECRET_TYPE_BOOTSTRAP_TOKEN,
)

from .types import BootstrapToken

COLUMNS = ("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class TokenError(ValueError):
    """A Secret that is no token, or a text that is none; says why."""


def generate(choice: Callable[[str], str]) -> str:
    """A new one; `choice` gives one of the letters, each as likely and none to be foreseen."""
    token_id, secret = ("".join(choice(LETTERS) for _ in range(length)) for length in (6, 16))
    return f"{token_id}.{secret}"


def parsed(token: str) -> tuple[str, str]:
    """(id, secret). TokenError."""
    parts = bootstraptokens.split(token)
    if parts is None:
        raise TokenError(
            f'the bootstrap token {quote(token)} was not of the form "{escaped(bootstraptokens.TOKEN_PATTERN)}"'
        )
    return parts


def named(text: str) -> str:
    """The id that a token or an id names. TokenError."""
    if bootstraptokens.is_id(text):
        return text
    parts = bootstraptokens.split(text)
    if parts is None:
        forms = (bootstraptokens.TOKEN_PATTERN, bootstraptokens.ID_PATTERN)
        raise TokenError("given token didn't match pattern {} or {}".format(*(f'"{escaped(form)}"' for form in forms)))
    return parts[0]


def secret(token: BootstrapToken, now: datetime) -> core_v1.Secret:
    """What stands in the API for a token with all its fields. TokenError, ValueError."""
    token_id, token_secret = parsed(token.token)
    data = {BOOTSTRAP_TOKEN_ID_KEY: token_id, BOOTSTRAP_TOKEN_SECRET_KEY: token_secret}
    if token.description:
        data[bootstraptokens.DESCRIPTION_KEY] = token.description
    end = expires(token, now)
    if end is not None:
        data[bootstraptokens.EXPIRATION_KEY] = format_time(end)
    data |= {bootstraptokens.USAGE_PREFIX + usage: "true" for usage in token.usages or ()}
    if token.groups:
        data[bootstraptokens.EXTRA_GROUPS_KEY] = ",".join(token.groups)
    name = bootstraptokens.secret_name(token_id)
    return core_v1.Secret(
        metadata=meta_v1.ObjectMeta(name=name, namespace=bootstraptokens.NAMESPACE),
        type=SECRET_TYPE_BOOTSTRAP_TOKEN,
        data={key: value.encode() for key, value in data.items()},
    )


def expires(token: BootstrapToken, now: datetime) -> datetime | None:
    """When it ends by its fields; None: never. ValueError."""
    if token.expires:
        return bootstraptokens.expiration(token.expires)
    seconds = parse_duration(token.ttl) if token.ttl else 0.0
    try:
        return now + timedelta(seconds=seconds) if seconds > 0 else None
    except OverflowError:
        raise ValueError(f"a token of {token.ttl} would end after the year 9999; 0 makes one that never does") from None


def of_secret(source: core_v1.Secret) -> BootstrapToken:
    """The token of a Secret. TokenError."""
    data = {key: value.decode("utf-8", "replace") for key, value in source.data.items()}
    name, token_id = source.metadata.name, data.get(BOOTSTRAP_TOKEN_ID_KEY, "")
    if not token_id:
        raise TokenError(f"bootstrap Token Secret has no token-id data: {name}")
    expected_name = bootstraptokens.secret_name(token_id)
    if name != expected_name:
        prefix = bootstraptokens.secret_name("(token-id)")
        raise TokenError(
            f"bootstrap token name is not of the form '{prefix}'. Actual: {quote(name)}. Expected: {quote(expected_name)}"
        )
    if not data.get(BOOTSTRAP_TOKEN_SECRET_KEY):
        raise TokenError(f"bootstrap Token Secret has no token-secret data: {name}")
    token = f"{token_id}.{data[BOOTSTRAP_TOKEN_SECRET_KEY]}"
    if bootstraptokens.split(token) is None:  # not shown: the half that is wrong may be most of a secret
        raise TokenError(f"bootstrap Token Secret is invalid and couldn't be parsed: {name}")
    end = data.get(bootstraptokens.EXPIRATION_KEY, "")
    try:
        moment = bootstraptokens.expiration(end)
    except ValueError as error:
        raise TokenError(f"can't parse expiration time of bootstrap token {quote(name)}: {error}") from error
    prefix = bootstraptokens.USAGE_PREFIX
    groups = data.get(bootstraptokens.EXTRA_GROUPS_KEY, "")
    return BootstrapToken(
        token=token,
        description=data.get(bootstraptokens.DESCRIPTION_KEY, ""),
        expires=format_time(moment) if moment is not None else "",
        usages=sorted(
            key.removeprefix(prefix) for key, value in data.items() if key.startswith(prefix) and value == "true"
        ),
        groups=groups.split(",") if groups else [],
    )


def row(token: BootstrapToken, now: datetime) -> tuple[str, ...]:
    """Its cells below `COLUMNS`; upstream prints row by row, and so gives some columns a width of their own."""
    end = expires(token, now)
    ttl = short_human_duration((end - now).total_seconds()) if end is not None else "<forever>"
    return (
        token.token,
        f"{ttl:<9}",
        format_time(end) if end is not None else "<never>",
        f"{','.join(token.usages or ()) or '<none>':<22}",
        f"{token.description or '<none>':<56}",
        ",".join(token.groups or ()) or "<none>",
    )


def output(token: BootstrapToken) -> dict[str, Any]:
    """Its fields for -o json and yaml: those that say something."""
    fields = {
        "token": token.token,
        "description": token.description,
        "expires": token.expires,
        "usages": token.usages,
        "groups": token.groups,
    }
    return {name: value for name, value in fields.items() if value}


def join_command(server: str, token: str, pins: Iterable[str], certificate_key: str = "") -> str:
    """What another host is told to run, a control-plane host where there is a certificate key.

    It is kubeadm's, to the letter: scripts take it apart.
    """
    words = [f"pybernetes join {server.removeprefix('https://')} --token {token}"]
    words += [f"--discovery-token-ca-cert-hash {pin}" for pin in pins]
    if certificate_key:
        words.append(f"--control-plane --certificate-key {certificate_key}")
    return " ".join(words)


def escaped(pattern: str) -> str:
    """As Go's %q shows it."""
    return pattern.replace("\\", "\\\\")
