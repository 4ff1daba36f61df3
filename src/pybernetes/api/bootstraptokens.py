"""Bootstrap tokens, ID.SECRET, and what their Secrets say; pure (upstream: k8s.io/cluster-bootstrap/token, util/secrets, util/tokens).

Who authenticates with one, signs cluster-info with one, cleans up after one or makes one judges it alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from .field import quote
from .times import parse_rfc3339
from .wellknown import BOOTSTRAP_TOKEN_SECRET_PREFIX

NAMESPACE = "kube-system"
DEFAULT_GROUP = "system:bootstrappers"  # of all who come with a token
USER_PREFIX = "system:bootstrap:"  # + the token's id

# Of the Secret's data, beside the two in wellknown.
EXPIRATION_KEY = "expiration"
DESCRIPTION_KEY = "description"
EXTRA_GROUPS_KEY = "auth-extra-groups"
USAGE_PREFIX = "usage-bootstrap-"  # + the usage; "true" or anything else
USAGE_AUTHENTICATION_KEY = f"{USAGE_PREFIX}authentication"
USAGE_SIGNING_KEY = f"{USAGE_PREFIX}signing"
KNOWN_USAGES = ("signing", "authentication")

# As Go writes them; messages show them so.
TOKEN_PATTERN = r"\A([a-z0-9]{6})\.([a-z0-9]{16})\z"
ID_PATTERN = r"\A([a-z0-9]{6})\z"
GROUP_PATTERN = r"\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_ID = re.compile(r"[a-z0-9]{6}")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def split(token: str) -> tuple[str, str] | None:
    """(id, secret); None for what is no such token."""
    match = _TOKEN.fullmatch(token)
    return (match[1], match[2]) if match else None


def is_id(text: str) -> bool:
    """Whether this is the public half of a token."""
    return _ID.fullmatch(text) is not None


def secret_name(token_id: str) -> str:
    """Of the Secret in `NAMESPACE`."""
    return BOOTSTRAP_TOKEN_SECRET_PREFIX + token_id


def group_problem(group: str) -> str:
    """Why a token may not give this group, "" where it may."""
    if _GROUP.fullmatch(group):
        return ""
    return f"bootstrap group {quote(group)} is invalid (must match {GROUP_PATTERN})"


def usages_problem(usages: Iterable[str]) -> str:
    """Why these are no usages of a token, "" where they are."""
    unknown = sorted(set(usages) - set(KNOWN_USAGES))
    if not unknown:
        return ""
    valid = ",".join(KNOWN_USAGES)
    return f"invalid bootstrap token usage string: {','.join(unknown)}, valid usage options: {valid}"


def expiration(text: str) -> datetime | None:
    """When a token ends, of its Secret's `expiration`; None: never. ValueError for what is no time."""
    return parse_rfc3339(text) if text else None


def has_expired(text: str, now: datetime) -> bool:
    """By the same value; an end that nobody can read has come."""
    try:
        end = expiration(text)
    except ValueError:
        return True
    return end is not None and now >= end
