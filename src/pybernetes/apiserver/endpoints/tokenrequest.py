"""POST serviceaccounts/NAME/token: a token for an account (upstream: pkg/registry/core/serviceaccount/storage/token.go)."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from pybernetes.api import errors, field, times
from pybernetes.api.field import Path
from pybernetes.wire.http import Request, Response

from ..audit import annotate
from ..authentication.serviceaccount import (
    EXTENSION_SECONDS,
    WARN_SECONDS,
    Binding,
    ServiceAccountTokens,
    TokenOptions,
    claims,
    sign,
)
from ..authentication.user import User, credential_id
from ..kinds.authentication import tokenrequest as kind
from ..kinds.core.serviceaccount import RESOURCE as ACCOUNTS
from ..query import Query
from ..resource import Object
from ..types import Attributes, Reader, RequestInfo
from .posted import read

# What admission says of a token that is asked for.
Admit = Callable[[Attributes], Awaitable[None]]

ISSUED = "authentication.kubernetes.io/issued-credential-id"  # audit annotation: what leads from a later request back to this one
BINDABLE = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


async def create(
    tokens: ServiceAccountTokens,
    admit: Admit,
    request: Request,
    info: RequestInfo,
    query: Query,
    user: User,
) -> Response:
    """201 with the token in its status; a dry run gets one as well, as nothing is stored in any case."""
    posted = await read(request, info, query, user, kind.RESOURCE)
    asked, dry_run = posted.body, posted.options.dry_run
    kind.default(asked)
    _require_name(asked["metadata"].get("name") or "", info.name)
    account = tokens.reader.get("", "serviceaccounts", info.namespace, info.name)
    if account is None:
        raise errors.not_found("", "serviceaccounts", info.name)
    problems = kind.validate(asked)
    if problems:
        raise errors.invalid(kind.RESOURCE.group, kind.RESOURCE.kind, "", problems)
    await admit(Attributes(user, "CREATE", ACCOUNTS, "token", info.namespace, info.name, asked, None, dry_run))
    return posted.created(issue(tokens, account, asked))


def _require_name(given: str, name: str) -> None:
    if given and given != name:
        why = "must match the service account name if specified"
        problem = field.invalid(Path("metadata") / "name", given, why)
        raise errors.invalid(kind.RESOURCE.group, kind.RESOURCE.kind, name, [problem])


def issue(tokens: ServiceAccountTokens, account: Object, asked: Object) -> Object:
    """The TokenRequest answered; StatusError."""
    options, spec, metadata = tokens.options, asked["spec"], account["metadata"]
    assert options.signer is not None, "the route is there only with a key"
    reference = spec.get("boundObjectRef")
    binding = (
        bound(tokens.reader, metadata["namespace"], metadata["name"], reference) if reference is not None else None
    )
    audiences = spec.get("audiences") or list(options.api_audiences)
    seconds, warn_after = lifetime(options, spec["expirationSeconds"], audiences, binding)
    now, token_id = tokens.now(), str(uuid.uuid4())
    payload = claims(account, binding, audiences, seconds, warn_after, now, options.issuers[0], token_id)
    annotate(ISSUED, credential_id(token_id))
    shown = warn_after or seconds
    expires = times.format_time(datetime.fromtimestamp(payload["nbf"] + shown, UTC))
    answered: dict[str, Any] = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            **asked.get("metadata", {}),
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "creationTimestamp": times.format_time(now),
        },
        "spec": {**spec, "audiences": audiences, "expirationSeconds": shown},
        "status": {"token": sign(payload, options.signer), "expirationTimestamp": expires},
    }
    return answered


def lifetime(options: TokenOptions, asked: int, audiences: list[str], binding: Binding | None) -> tuple[int, int]:
    """(seconds of life, seconds after which its use is worth a warning; 0: none)."""
    seconds = min(asked, int(options.max_expiration)) if options.max_expiration else asked
    extends = (
        options.extend_expiration
        and asked == WARN_SECONDS
        and binding is not None
        and binding.kind == "pod"
        and set(audiences) <= set(options.api_audiences)
    )
    if not extends:
        return seconds, 0
    longest = EXTENSION_SECONDS
    if options.max_expiration:
        longest = min(longest, int(options.max_expiration))
    return max(longest, seconds), seconds


def bound(reader: Reader, namespace: str, account: str, reference: Object) -> Binding:
    """What the token shall die with; StatusError where that is not there, or another than meant."""
    name, kind, api_version = (reference.get(key, "") for key in ("name", "kind", "apiVersion"))
    group, _, version = api_version.rpartition("/")
    resource = BINDABLE.get(kind) if not group else None
    if resource is None:
        raise errors.bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    obj = reader.get("", resource, "" if resource == "nodes" else namespace, name)
    if obj is None:
        raise errors.not_found("", resource, name)
    node = ("", "")
    if kind == "Pod":
        spec = obj.get("spec") or {}
        if spec.get("serviceAccountName") != account:
            text = (
                f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
            )
            raise errors.bad_request(text)
        node = _node(reader, spec.get("nodeName", ""))
    uid = obj["metadata"]["uid"]
    if reference.get("uid") not in (None, "", uid):
        text = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict("", kind, name, text)
    return Binding(kind.lower(), name, uid, node)


def _node(reader: Reader, name: str) -> tuple[str, str]:
    node = reader.get("", "nodes", "", name) if name else None
    return (name, node["metadata"]["uid"] if node else "") if name else ("", "")
