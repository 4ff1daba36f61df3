"""Who owns whom: the garbage collector's graph, kept by events; pure (upstream: garbagecollector/graph_builder.go).

A node for each object that was seen, and a virtual one for each owner that was only named. An event costs no more than
the object's owners; what must be looked at next is answered as actions.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pybernetes.client.metadata import FOREGROUND, ORPHAN, Owner, Partial, Resource

ABSENT_OWNERS = 500  # owners known to be gone that are remembered, as upstream


class Identity(NamedTuple):
    """Coordinates of an object; prints as upstream words it in events."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"[{self.api_version}/{self.kind}, namespace: {self.namespace}, name: {self.name}, uid: {self.uid}]"


class Node:
    """An object. `dependents` is None for the many that have none."""

    __slots__ = (
        "api_version",
        "deleting",
        "deleting_dependents",
        "dependents",
        "kind",
        "name",
        "namespace",
        "orphaning",
        "owners",
        "uid",
        "virtual",
    )

    def __init__(self, identity: Identity, owners: tuple[Owner, ...] = (), virtual: bool = False) -> None:
        self.api_version, self.kind, self.namespace, self.name, self.uid = identity
        self.owners = owners
        self.dependents: set[Node] | None = None
        self.virtual = virtual  # named by a dependent, not seen yet
        self.deleting = False
        self.deleting_dependents = False  # waits in the foreground for its dependents
        self.orphaning = False

    @property
    def identity(self) -> Identity:
        return Identity(self.api_version, self.kind, self.namespace, self.name, self.uid)

    def __repr__(self) -> str:
        return str(self.identity)

    def blocking(self) -> list[Node]:
        """The dependents that this one's deletion in the foreground waits for."""
        return [
            dependent
            for dependent in self.dependents or ()
            if any(owner.uid == self.uid and owner.block_owner_deletion for owner in dependent.owners)
        ]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Look whether the node has to be deleted."""

    node: Node


@dataclass(frozen=True, slots=True)
class Orphan:
    """Take the references to the node from its dependents, then its finalizer."""

    node: Node


@dataclass(frozen=True, slots=True)
class Invalid:
    """The node refers to an owner in another namespace: tell it."""

    node: Node
    owner_uid: str


Action = Attempt | Orphan | Invalid


def invalid_message(node: Node, owner_uid: str) -> str:
    """The text of the event OwnerRefInvalidNamespace."""
    owner = next(owner for owner in node.owners if owner.uid == owner_uid)
    named = Identity(owner.api_version, owner.kind, node.namespace, owner.name, owner.uid)
    return f'ownerRef {named} does not exist in namespace "{node.namespace}"'


class AbsentOwners:
    """The last owners that were found to be gone."""

    def __init__(self, size: int = ABSENT_OWNERS) -> None:
        self._size = size
        self._absent: OrderedDict[Identity, None] = OrderedDict()

    def add(self, identity: Identity) -> None:
        self._absent[identity] = None
        self._absent.move_to_end(identity)
        if len(self._absent) > self._size:
            self._absent.popitem(last=False)

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._absent


class Graph:
    """All nodes by uid: objects that were seen, and owners that were only named so far."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self.absent = AbsentOwners()

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def of_kind(self, api_version: str, kind: str) -> list[Node]:
        """The seen ones of a kind; goes over all."""
        return [n for n in self._nodes.values() if n.kind == kind and n.api_version == api_version and not n.virtual]

    # --- what was seen

    def observe(self, resource: Resource, obj: Partial) -> Sequence[Action]:
        """An object as a monitor has seen it, new or changed: owners and finalizers are taken up."""
        meta = obj.metadata
        node = self._nodes.get(meta.uid)
        actions: list[Action] = []
        if node is None:
            node = self._add(resource, obj, actions)
        else:
            if node.virtual:
                self._materialize(node, resource, obj, actions)
            self._update_owners(node, self._shared(meta.owner_references), actions)
        self._transitions(node, obj, actions)
        return actions

    def _add(self, resource: Resource, obj: Partial, actions: list[Action]) -> Node:
        meta = obj.metadata
        namespace = sys.intern(meta.namespace)
        identity = Identity(resource.api_version, resource.kind, namespace, meta.name, meta.uid)
        node = Node(identity, self._shared(meta.owner_references))
        node.api_version, node.kind = sys.intern(node.api_version), sys.intern(node.kind)
        self._nodes[meta.uid] = node
        self._add_to_owners(node, node.owners, actions)
        return node

    def _shared(self, owners: list[Owner] | None) -> tuple[Owner, ...]:
        """The references as a tuple; siblings share one."""
        if not owners:
            return ()
        owner = self._nodes.get(owners[0].uid)
        for sibling in (owner.dependents if owner is not None else None) or ():
            if len(sibling.owners) == len(owners) and all(a == b for a, b in zip(sibling.owners, owners, strict=True)):
                return sibling.owners
            break  # one look: an event must stay cheap
        return tuple(owners)

    def _materialize(self, node: Node, resource: Resource, obj: Partial, actions: list[Action]) -> None:
        """A virtual node is seen: dependents that named it otherwise are looked at."""
        meta = obj.metadata
        seen = Identity(resource.api_version, resource.kind, sys.intern(meta.namespace), meta.name, meta.uid)
        if seen != node.identity:
            for dependent in _partition(node, seen)[1]:
                if seen.namespace and dependent.namespace != seen.namespace:
                    actions.append(Invalid(dependent, seen.uid))
                actions.append(Attempt(dependent))
            node.api_version, node.kind, node.namespace, node.name, _ = seen
        node.virtual = False

    def _update_owners(self, node: Node, owners: tuple[Owner, ...], actions: list[Action]) -> None:
        if owners is node.owners or owners == node.owners:
            return
        before = {owner.uid: owner for owner in node.owners}
        after = {owner.uid: owner for owner in owners}
        for uid, owner in before.items():
            # An owner that waits in the foreground may have waited for just this reference.
            unblocked = owner.block_owner_deletion and (uid not in after or not after[uid].block_owner_deletion)
            waiting = self._nodes.get(uid)
            if unblocked and waiting is not None:
                actions.append(Attempt(waiting))
        node.owners = owners
        self._add_to_owners(node, [owner for uid, owner in after.items() if uid not in before], actions)
        self._remove_from_owners(node, (uid for uid in before if uid not in after))

    def _add_to_owners(self, node: Node, owners: Iterable[Owner], actions: list[Action]) -> None:
        doubtful = False
        for ref in owners:
            owner = self._nodes.get(ref.uid)
            if owner is None:
                owner = Node(Identity(ref.api_version, ref.kind, node.namespace, ref.name, ref.uid), virtual=True)
                self._nodes[ref.uid] = owner
                actions.append(Attempt(owner))  # the server tells whether it exists
            elif not doubtful:
                if owner.namespace and owner.namespace != node.namespace:
                    doubtful = True
                    if not owner.virtual:
                        actions.append(Invalid(node, ref.uid))
                else:
                    doubtful = (ref.api_version, ref.kind, ref.name) != (owner.api_version, owner.kind, owner.name)
            if owner.dependents is None:
                owner.dependents = set()
            owner.dependents.add(node)
        if doubtful:
            actions.append(Attempt(node))

    def _remove_from_owners(self, node: Node, uids: Iterable[str]) -> None:
        for uid in uids:
            owner = self._nodes.get(uid)
            if owner is not None and owner.dependents is not None:
                owner.dependents.discard(node)
                if not owner.dependents:
                    owner.dependents = None

    @staticmethod
    def _transitions(node: Node, obj: Partial, actions: list[Action]) -> None:
        orphaning = obj.deleting and obj.finalized_by(ORPHAN)
        waiting = obj.deleting and obj.finalized_by(FOREGROUND)
        starts_orphaning = orphaning and not node.orphaning
        starts_waiting = waiting and not node.deleting_dependents
        node.deleting = node.deleting or obj.deleting
        node.orphaning = orphaning
        if starts_orphaning:
            actions.append(Orphan(node))
        elif starts_waiting:
            node.deleting_dependents = True
            actions.extend(Attempt(dependent) for dependent in node.dependents or ())
            actions.append(Attempt(node))

    # --- what is gone

    def remove(self, uid: str) -> Sequence[Action]:
        """An object that a monitor has seen go: its dependents lose an owner."""
        node = self._nodes.get(uid)
        return self._remove(node) if node is not None else ()

    def _remove(self, node: Node) -> list[Action]:
        del self._nodes[node.uid]
        self._remove_from_owners(node, (owner.uid for owner in node.owners))
        if node.dependents:
            self.absent.add(node.identity)
        actions: list[Action] = [Attempt(dependent) for dependent in node.dependents or ()]
        for ref in node.owners:
            owner = self._nodes.get(ref.uid)
            if owner is not None and owner.deleting_dependents:
                actions.append(Attempt(owner))
        return actions

    def vanished(self, identity: Identity) -> Sequence[Action]:
        """The server says that what was named so does not exist; nothing was seen of a deletion."""
        node = self._nodes.get(identity.uid)
        if node is None:
            return ()
        if not node.virtual:
            return self._remove(node) if node.identity == identity else self._disproved(node, identity)
        others = _partition(node, identity)[1]
        if not others:
            return self._remove(node)
        # The dependents disagree about it: the others' word is still to be asked about.
        actions = self._disproved(node, identity)
        if node.identity == identity:
            replacement = _alternative(others, identity)
            if replacement is not None:
                node.api_version, node.kind, node.namespace, node.name, _ = replacement
                actions.append(Attempt(node))
        return actions

    def _disproved(self, node: Node, identity: Identity) -> list[Action]:
        matching = _partition(node, identity)[0]
        if matching:
            self.absent.add(identity)
        return [Attempt(dependent) for dependent in matching]


def _partition(node: Node, identity: Identity) -> tuple[list[Node], list[Node]]:
    """(dependents that mean just this owner, dependents that name it otherwise)."""
    matching: list[Node] = []
    others: list[Node] = []
    for dependent in node.dependents or ():
        same_place = not identity.namespace or dependent.namespace == identity.namespace
        ref = next((owner for owner in dependent.owners if owner.uid == identity.uid), None)
        same_name = ref is not None and (ref.api_version, ref.kind, ref.name) == (
            identity.api_version,
            identity.kind,
            identity.name,
        )
        (matching if same_place and same_name else others).append(dependent)
    return matching, others


def _alternative(dependents: Iterable[Node], verified: Identity) -> Identity | None:
    """Another identity that dependents give the owner: the next after the verified one in order, else the first."""
    named = {
        Identity(owner.api_version, owner.kind, dependent.namespace, owner.name, owner.uid)
        for dependent in dependents
        for owner in dependent.owners
        if owner.uid == verified.uid
    }
    candidates = sorted(named - {verified})
    return next((c for c in candidates if c > verified), candidates[0] if candidates else None)
