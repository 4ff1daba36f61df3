"""Admission PodSecurityPolicy (until 1.25; upstream: plugin/pkg/admission/security/podsecuritypolicy).

A pod is let in by a policy that its creator or its service account may use, and may be changed by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.api import errors
from pybernetes.api.field import FieldError
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.wellknown import (
    ALL_SERVICE_ACCOUNTS_GROUP,
    SERVICE_ACCOUNT_GROUP_PREFIX,
    SERVICE_ACCOUNT_USERNAME_PREFIX,
)

from .. import audit
from ..authentication.user import User
from ..authorization.modes import Authorizers
from ..resource import Object
from ..types import PODS, Attributes, Reader, RequestInfo
from . import podsecuritypolicyrules as rules

ANNOTATION = "kubernetes.io/psp"  # which policy let the pod in
AUDIT = "podsecuritypolicy.policy.k8s.io/"
GROUPS = ("policy", "extensions")  # in which one may be allowed to use a policy


class PodSecurityPolicy:
    """Pods need a policy that lets them in."""

    name = "PodSecurityPolicy"
    resources = PODS

    def __init__(self, reader: Reader, authorizers: Authorizers) -> None:
        self._reader, self._authorizers = reader, authorizers

    async def admit(self, attributes: Attributes) -> None:
        """Changes a new pod as its policy says; 403 where none lets it in."""
        pod = attributes.object
        if pod is None or not _is_pod(attributes) or attributes.operation != "CREATE":
            return
        allowed, problems = await self._allowed(attributes, pod, changes=True)
        if allowed is None:
            raise _forbidden(attributes, "admit", problems)
        mutated, policy = allowed
        annotations = mutated["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = policy
        pod.clear()
        pod.update(mutated)
        audit.annotate(f"{AUDIT}admit-policy", policy)

    async def validate(self, attributes: Attributes) -> None:
        """403 for a pod that no policy lets in as it is."""
        pod = attributes.object
        if pod is None or not _is_pod(attributes) or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if attributes.operation == "UPDATE" and pod["metadata"].get("deletionTimestamp"):
            return
        hint = (pod["metadata"].get("annotations") or {}).get(ANNOTATION, "")
        allowed, problems = await self._allowed(attributes, pod, changes=False, hint=hint)
        if allowed is None:
            raise _forbidden(attributes, "validate", problems)
        audit.annotate(f"{AUDIT}validate-policy", allowed[1])

    async def _allowed(
        self, attributes: Attributes, pod: Object, changes: bool, hint: str = ""
    ) -> tuple[tuple[Object, str] | None, Sequence[FieldError]]:
        """(the pod as a policy lets it in, and which), else why those do not that may be used.

        A policy that leaves the pod as it is goes before those that would change it; `hint` is asked first.
        """
        policies = sorted(
            self._reader.list("policy", "podsecuritypolicies"),
            key=lambda one: (one["metadata"]["name"] != hint, one["metadata"]["name"]),
        )
        if not policies:
            text = "PodSecurityPolicy: no providers available to validate pod request"
            raise errors.forbidden("", "pods", attributes.told_name, text)
        refused: dict[str, list[FieldError]] = {}
        changed: tuple[Object, str] | None = None
        for policy in policies:
            name, mutated = policy["metadata"]["name"], json_copy(pod)
            rules.mutate(policy, mutated)
            if problems := rules.violations(policy, mutated):
                refused[name] = problems
                continue
            if mutated == pod:
                if await self._may_use(attributes, pod, name):
                    return (mutated, name), ()
            elif changes and changed is None and await self._may_use(attributes, pod, name):
                changed = mutated, name
        if changed is not None:
            return changed, ()
        return None, [
            problem
            for name, violations in refused.items()
            if await self._may_use(attributes, pod, name)
            for problem in violations
        ]

    async def _may_use(self, attributes: Attributes, pod: Object, policy: str) -> bool:
        namespace = attributes.namespace
        account = (pod.get("spec") or {}).get("serviceAccountName") or ""
        users = [attributes.user]
        if account:
            groups = (ALL_SERVICE_ACCOUNTS_GROUP, f"{SERVICE_ACCOUNT_GROUP_PREFIX}{namespace}")
            users.insert(0, User(f"{SERVICE_ACCOUNT_USERNAME_PREFIX}{namespace}:{account}", groups))
        for user in users:
            for group in GROUPS:
                info = RequestInfo(
                    verb="use",
                    path="",
                    is_resource=True,
                    group=group,
                    version="*",
                    resource="podsecuritypolicies",
                    namespace=namespace,
                    name=policy,
                )
                if (await self._authorizers.authorize(user, info)).allowed:
                    return True
        return False


def _is_pod(attributes: Attributes) -> bool:
    resource = attributes.resource
    return (resource.group, resource.name, attributes.subresource) == ("", "pods", "")


def _forbidden(attributes: Attributes, verb: str, problems: Sequence[FieldError]) -> errors.StatusError:
    why = " ".join(str(problem) for problem in problems)
    return errors.forbidden("", "pods", attributes.told_name, f"PodSecurityPolicy: unable to {verb} pod: [{why}]")
