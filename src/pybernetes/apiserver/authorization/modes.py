"""The authorizers in the order of --authorization-mode, and the words of a refusal (upstream: pkg/kubeapiserver/authorizer, apiserver/.../union)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from pybernetes.api import errors
from pybernetes.api.fieldselectors import parse_field_selector
from pybernetes.api.labels import SelectorError
from pybernetes.api.wellknown import SYSTEM_PRIVILEGED_GROUP
from pybernetes.component.metrics import Counter, Registry

from ..authentication.user import User
from ..generic.cache import WatchCache
from ..resource import Resource
from ..types import Authorizer, Decision, Reader, RequestInfo
from . import bootstrappolicy
from .node import NodeAuthorizer
from .rbac import RBAC
from .rules import Rule

MODES = ("AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node")
ALLOWED = Decision(allowed=True)
COLLECTION_VERBS = ("list", "watch", "deletecollection")
EVERYTHING: Rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
EVERY_PATH: Rule = {"verbs": ["*"], "nonResourceURLs": ["*"]}


@runtime_checkable
class RuleResolver(Protocol):
    """An authorizer that can list what one may (upstream: authorizer.RuleResolver)."""

    def rules_for(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """(rules that hold for the user in the namespace, why the list is not complete)."""
        ...


class AlwaysAllow:
    """Everyone who is authenticated may do everything."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED

    def rules_for(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """See `RuleResolver`."""
        return [EVERYTHING, EVERY_PATH], []


class AlwaysDeny:
    """Nobody may do anything (but system:masters)."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(reason="Everything is forbidden.")

    def rules_for(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """See `RuleResolver`."""
        return [], []


@dataclass(frozen=True, slots=True)
class Named:
    """An authorizer under the name of its configuration."""

    type: str
    name: str
    authorizer: Authorizer


class Authorizers:
    """The chain. system:masters may always do everything, so that nobody locks himself out.

    `rbac` is the one of the chain, for who asks for rules; `node`: whether the Node authorizer is in it; `everyone`: nothing is refused.
    `decisions` counts those of authorizers that have names.
    """

    def __init__(
        self,
        chain: Sequence[Authorizer | Named],
        rbac: RBAC | None = None,
        node: bool = False,
        decisions: Counter | None = None,
    ) -> None:
        self.rbac, self.node, self._decisions = rbac, node, decisions
        self.take(chain)

    def take(self, chain: Sequence[Authorizer | Named]) -> None:
        """From the next question on these are asked."""
        self._chain = tuple(one if isinstance(one, Named) else Named("", "", one) for one in chain)
        self.everyone = bool(chain) and isinstance(self._chain[0].authorizer, AlwaysAllow)

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        """See `types.Authorizer`; the reasons of all who did not allow it, one a line."""
        if SYSTEM_PRIVILEGED_GROUP in user.groups:
            return ALLOWED
        if info.field_selector and not info.name and info.verb in COLLECTION_VERBS:
            info = replace(info, name=selected_name(info.field_selector))
        reasons, problems = [], []
        for named in self._chain:
            decision = await named.authorizer.authorize(user, info)
            if decision.error:
                problems.append(decision.error)
            if decision.allowed or decision.denied:
                if self._decisions is not None:
                    self._decisions.inc(named.type, named.name, "allowed" if decision.allowed else "denied")
                return replace(decision, error=aggregated(problems)) if problems else decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(reason="\n".join(reasons), error=aggregated(problems))

    async def start(self) -> None:
        """Those that follow files or ask others begin to."""

    async def close(self) -> None:
        """Ends what `start` began, and all connections."""

    def rules_for(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """What all who can list it would allow; see `RuleResolver`."""
        rules: list[Rule] = []
        problems: list[str] = []
        for named in self._chain:
            if isinstance(named.authorizer, RuleResolver):
                of_mode, why = named.authorizer.rules_for(user, namespace)
                rules += of_mode
                problems += why
        return rules, problems

    async def require(self, user: User, info: RequestInfo) -> None:
        """StatusError 403 unless allowed; 500 where that cannot be found out."""
        decision = await self.authorize(user, info)
        if not decision.allowed:
            if decision.error:
                raise errors.internal_error(decision.error)
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


def authorizers(
    modes: Sequence[str], cache: WatchCache, reader: Reader, registry: Registry | None = None
) -> Authorizers:
    """Those of --authorization-mode that need no more; ValueError for a mode that there is not."""
    from .metrics import AuthorizationMetrics

    chain = {mode: authorizer(mode, cache, reader) for mode in modes}
    rbac = chain.get("RBAC")
    named = [Named(mode, mode.lower(), one) for mode, one in chain.items()]
    decisions = AuthorizationMetrics(registry or Registry()).decisions
    return Authorizers(named, rbac if isinstance(rbac, RBAC) else None, "Node" in modes, decisions)


def authorizer(mode: str, cache: WatchCache, reader: Reader) -> Authorizer:
    """The one of a mode that needs no more. ValueError for a mode that there is not."""
    match mode:
        case "AlwaysAllow":
            return AlwaysAllow()
        case "AlwaysDeny":
            return AlwaysDeny()
        case "Node":
            return NodeAuthorizer(reader, cache.of("", "pods"), bootstrappolicy.node_rules())
        case "RBAC":
            return RBAC(reader)
    raise ValueError(f'"{mode}" is not a valid mode')


def aggregated(problems: Sequence[str]) -> str:
    """Several as one (utilerrors.NewAggregate)."""
    texts = list(dict.fromkeys(problems))
    return f"[{', '.join(texts)}]" if len(texts) > 1 else "".join(texts)


def selected_name(selector: str) -> str:
    """The one name that a field selector lets through; "" where there is none such."""
    try:
        requirements = parse_field_selector(selector).requirements
    except SelectorError:
        return ""  # the verb itself will refuse it
    names = [r.value for r in requirements if r.field == "metadata.name" and r.operator in ("=", "==")]
    return names[0] if names else ""


def refusal(user: User, info: RequestInfo, reason: str) -> errors.StatusError:
    """403 with upstream's sentence."""
    if not info.is_resource:
        text = f'User "{user.name}" cannot {info.verb} path "{info.path}"'
    else:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        place = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
        text = f'User "{user.name}" cannot {info.verb} resource "{resource}" in API group "{info.group}" {place}'
    return errors.forbidden(info.group, info.resource, info.name, f"{text}: {reason}" if reason else text)
