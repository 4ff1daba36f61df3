"""The authorizers in the order of --authorization-mode, and the words of a refusal (upstream: pkg/kubeapiserver/authorizer, apiserver/.../union)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pybernetes.api import errors
from pybernetes.api.fieldselectors import parse_field_selector
from pybernetes.api.labels import SelectorError
from pybernetes.api.wellknown import SYSTEM_PRIVILEGED_GROUP

from ..authentication.user import User
from ..generic.cache import WatchCache
from ..resource import Resource
from ..types import Authorizer, Decision, Reader, RequestInfo
from . import bootstrappolicy
from .node import NodeAuthorizer
from .rbac import RBAC

MODES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")
ALLOWED = Decision(allowed=True)
COLLECTION_VERBS = ("list", "watch", "deletecollection")


class AlwaysAllow:
    """Everyone who is authenticated may do everything."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED


class AlwaysDeny:
    """Nobody may do anything (but system:masters)."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(reason="Everything is forbidden.")


class Authorizers:
    """The chain. system:masters may always do everything, so that nobody locks himself out.

    `rbac` is the one of the chain, for who asks for rules; `node`: whether the Node authorizer is in it; `everyone`: nothing is refused.
    """

    def __init__(self, chain: Sequence[Authorizer], rbac: RBAC | None = None, node: bool = False) -> None:
        self._chain = chain
        self.rbac = rbac
        self.node = node
        self.everyone = bool(chain) and isinstance(chain[0], AlwaysAllow)

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        """See `types.Authorizer`; the reasons of all who did not allow it, one a line."""
        if self.everyone or SYSTEM_PRIVILEGED_GROUP in user.groups:
            return ALLOWED
        if info.field_selector and not info.name and info.verb in COLLECTION_VERBS:
            info = replace(info, name=selected_name(info.field_selector))
        reasons = []
        for authorizer in self._chain:
            decision = await authorizer.authorize(user, info)
            if decision.allowed or decision.denied:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(reason="\n".join(reasons))

    async def require(self, user: User, info: RequestInfo) -> None:
        """StatusError 403 unless allowed."""
        decision = await self.authorize(user, info)
        if not decision.allowed:
            raise refusal(user, info, decision.reason)

    async def require_create(self, user: User, resource: Resource, namespace: str, name: str) -> None:
        """StatusError 403 for a PUT or apply that would make what the user may not create (upstream: handlers/update.go)."""
        info = RequestInfo(
            "create",
            "",
            is_resource=True,
            group=resource.group,
            version=resource.version,
            resource=resource.name,
            namespace=namespace,
            name=name,
        )
        decision = await self.authorize(user, info)
        if not decision.allowed:
            raise errors.forbidden(resource.group, resource.name, name, decision.reason)


def authorizers(modes: Sequence[str], cache: WatchCache, reader: Reader) -> Authorizers:
    """Those of --authorization-mode; ValueError for a mode that there is not."""
    chain: list[Authorizer] = []
    rbac: RBAC | None = None
    for mode in modes:
        match mode:
            case "AlwaysAllow":
                chain.append(AlwaysAllow())
            case "AlwaysDeny":
                chain.append(AlwaysDeny())
            case "Node":
                chain.append(NodeAuthorizer(reader, cache.of("", "pods"), bootstrappolicy.node_rules()))
            case "RBAC":
                rbac = RBAC(reader)
                chain.append(rbac)
            case _:
                raise ValueError(f'"{mode}" is not a valid mode')
    return Authorizers(chain, rbac, "Node" in modes)


def selected_name(selector: str) -> str:
    """The one name that a field selector lets through; "" where there is none such."""
    try:
        requirements = parse_field_selector(selector).requirements
    except SelectorError:
        return ""  # the verb itself will refuse it
    wanted = [r.value for r in requirements if r.field == "metadata.name" and r.operator in ("=", "==")]
    return wanted[0] if wanted else ""


def refusal(user: User, info: RequestInfo, reason: str) -> errors.StatusError:
    """403 with upstream's sentence."""
    if not info.is_resource:
        text = f'User "{user.name}" cannot {info.verb} path "{info.path}"'
    else:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        place = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
        text = f'User "{user.name}" cannot {info.verb} resource "{resource}" in API group "{info.group}" {place}'
    return errors.forbidden(info.group, info.resource, info.name, f"{text}: {reason}" if reason else text)
