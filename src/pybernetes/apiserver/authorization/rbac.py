"""Authorization by roles and bindings (upstream: plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac/validation/rule.go).

Bindings are indexed by subject. What one (user, groups) may is worked out once for each kind of question and remembered until a
role or binding changes, which costs four comparisons to know; an answer to a known question costs about two microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pybernetes.api.wellknown import SERVICE_ACCOUNT_USERNAME_PREFIX

from ..authentication.user import User
from ..types import Decision, Reader, RequestInfo
from .rules import GROUP, Rule, allows_path, allows_resource

RESOURCES = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
REMEMBERED_USERS = 4096
REMEMBERED_GROUPS = 1000  # of one user; a review may ask about one with any number
REMEMBERED_QUESTIONS = 1024  # of one user

NO_OPINION = Decision()

Object = dict[str, Any]
Subject = tuple[str, str]  # (kind, name); an account's name is NAMESPACE/NAME
# Alternatives in order: for which names (None: all), with which decision.
Matches = list[tuple[frozenset[str] | None, Decision]]


@dataclass(frozen=True, slots=True)
class Grant:
    """One subject of one binding."""

    namespace: str  # "" of cluster role bindings
    binding: str
    role_kind: str
    role: str
    subject: str  # as reasons name it: User "u"

    @property
    def reason(self) -> str:
        """Why it is allowed."""
        by = f'ClusterRoleBinding "{self.binding}"'
        if self.namespace:
            by = f'RoleBinding "{self.binding}/{self.namespace}"'
        return f'RBAC: allowed by {by} of {self.role_kind} "{self.role}" to {self.subject}'


@dataclass(slots=True)
class _Rights:
    """What is known of one user."""

    grants: list[Grant]
    namespaces: frozenset[str]  # in which there are more of them than everywhere
    resources: dict[tuple[str, str, str, str, str], tuple[Matches, Decision]] = field(default_factory=dict)
    paths: dict[tuple[str, str], Decision] = field(default_factory=dict)


def subject_key(subject: Object, namespace: str) -> tuple[Subject, str]:
    """(index key, words) of a binding's subject; the namespace is the binding's."""
    kind, name = subject.get("kind", ""), subject.get("name", "")
    if kind == "ServiceAccount":
        whole = f"{name}/{subject.get('namespace') or namespace}"
        return (kind, whole), f'ServiceAccount "{whole}"'
    return (kind, name), f'{kind} "{name}"'


def subjects_of(user: User, groups: frozenset[str]) -> list[Subject]:
    """The keys under which a user's bindings are. `groups`: all that a binding names; a review's user may be in any number of others."""
    keys = [("User", user.name), *(("Group", group) for group in groups.intersection(user.groups))]
    if user.name.startswith(SERVICE_ACCOUNT_USERNAME_PREFIX):
        namespace, _, name = user.name[len(SERVICE_ACCOUNT_USERNAME_PREFIX) :].partition(":")
        keys.append(("ServiceAccount", f"{name}/{namespace}"))
    return keys


class RBAC:
    """See `types.Authorizer`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._versions: tuple[int, ...] = ()
        self._index: dict[Subject, list[tuple[int, Grant]]] = {}
        self._groups: frozenset[str] = frozenset()  # that are in the index
        self._users: dict[tuple[str, tuple[str, ...]], _Rights] = {}

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        rights = self._rights(user)
        if not info.is_resource:
            return self._path(rights, info.verb, info.path)
        namespace = info.namespace if info.namespace in rights.namespaces else ""
        key = (info.verb, info.group, info.resource, info.subresource, namespace)
        matches = rights.resources.get(key)
        if matches is None:
            if len(rights.resources) >= REMEMBERED_QUESTIONS:
                rights.resources.clear()
            matches = rights.resources[key] = self._matches(rights, *key)
        for names, decision in matches[0]:
            if names is None or info.name in names:
                return decision
        return matches[1]

    def rules_for(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """(all rules that hold for the user in the namespace, "" for cluster-wide ones; errors of what is not found)."""
        rules: list[Rule] = []
        problems: list[str] = []
        for grant in self._in_namespace(self._rights(user), namespace):
            role_rules, problem = self.role_rules(grant.role_kind, grant.role, grant.namespace)
            rules += role_rules
            problems += [problem] if problem else []
        return rules, problems

    def role_rules(self, kind: str, name: str, namespace: str) -> tuple[list[Rule], str]:
        """(rules of a role, "" or that it is not found)."""
        role = (
            self._reader.get(GROUP, "clusterroles", "", name)
            if kind == "ClusterRole"
            else self._reader.get(GROUP, "roles", namespace, name)
        )
        if role is None:
            return [], f'{kind.lower()}.{GROUP} "{name}" not found'
        return role.get("rules") or [], ""

    def _rights(self, user: User) -> _Rights:
        changed = self._reader.changed
        versions = tuple([changed(GROUP, resource) for resource in RESOURCES])
        if versions != self._versions:
            if versions[1::2] != self._versions[1::2]:
                self._build()
            self._users.clear()
            self._versions = versions
        key = (user.name, user.groups)
        rights = self._users.get(key)
        if rights is None:
            grants = sorted(
                {item for subject in subjects_of(user, self._groups) for item in self._index.get(subject, ())},
                key=_order,
            )
            # A binding that names the user in several ways counts once, by the subject it names first.
            first: dict[tuple[str, str], Grant] = {}
            for _, grant in grants:
                first.setdefault((grant.namespace, grant.binding), grant)
            namespaces = frozenset(grant.namespace for grant in first.values())
            rights = _Rights(list(first.values()), namespaces)
            if len(user.groups) <= REMEMBERED_GROUPS:
                if len(self._users) >= REMEMBERED_USERS:
                    self._users.clear()
                self._users[key] = rights
        return rights

    def _build(self) -> None:
        self._index = {}
        number = 0
        for resource in (
            "clusterrolebindings",
            "rolebindings",
        ):  # whose reason is told: those of the cluster come first
            for binding in self._reader.list(GROUP, resource):
                metadata, ref = binding["metadata"], binding.get("roleRef") or {}
                namespace = metadata.get("namespace", "")
                for subject in binding.get("subjects") or ():
                    key, words = subject_key(subject, namespace)
                    grant = Grant(namespace, metadata["name"], ref.get("kind", ""), ref.get("name", ""), words)
                    self._index.setdefault(key, []).append((number, grant))
                    number += 1
        self._groups = frozenset(name for kind, name in self._index if kind == "Group")

    @staticmethod
    def _in_namespace(rights: _Rights, namespace: str) -> Iterator[Grant]:
        return (grant for grant in rights.grants if not grant.namespace or grant.namespace == namespace)

    def _matches(
        self, rights: _Rights, verb: str, group: str, resource: str, subresource: str, namespace: str
    ) -> tuple[Matches, Decision]:
        """What allows it, up to the first that does for every name; and the answer where nothing does."""
        matches: Matches = []
        problems: list[str] = []
        for grant in self._in_namespace(rights, namespace):
            rules, problem = self.role_rules(grant.role_kind, grant.role, grant.namespace)
            problems += [problem] if problem else []
            for rule in rules:
                if not allows_resource(rule, verb, group, resource, subresource):
                    continue
                names = rule.get("resourceNames")
                matches.append((frozenset(names) if names else None, Decision(allowed=True, reason=grant.reason)))
                if not names:
                    return matches, NO_OPINION
        return matches, _refused(problems)

    def _path(self, rights: _Rights, verb: str, path: str) -> Decision:
        decision = rights.paths.get((verb, path))
        if decision is None:
            if len(rights.paths) >= REMEMBERED_QUESTIONS:
                rights.paths.clear()
            decision = rights.paths[verb, path] = self._decide_path(rights, verb, path)
        return decision

    def _decide_path(self, rights: _Rights, verb: str, path: str) -> Decision:
        problems: list[str] = []
        for grant in self._in_namespace(rights, ""):
            rules, problem = self.role_rules(grant.role_kind, grant.role, grant.namespace)
            problems += [problem] if problem else []
            if any(allows_path(rule, verb, path) for rule in rules):
                return Decision(allowed=True, reason=grant.reason)
        return _refused(problems)


def _order(item: tuple[int, Grant]) -> int:
    return item[0]


def _refused(problems: list[str]) -> Decision:
    texts = list(dict.fromkeys(problems))
    if not texts:
        return NO_OPINION
    return Decision(reason=f"RBAC: {texts[0] if len(texts) == 1 else '[' + ', '.join(texts) + ']'}")
