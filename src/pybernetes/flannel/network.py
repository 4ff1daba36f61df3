"""Keeps in the kernel what the leases of other hosts ask for. Blocking, all on the router's thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pybernetes.net.links import LinkError
from pybernetes.net.routes import Route, Router

from . import lease as leases_of
from .backends import Backend
from .lease import Lease, LeaseError
from .plan import Entry, Hop, Key, difference, key

_log = logging.getLogger(__name__)


class Network:
    """The entries of all hosts but this one, whose subnet is `own`, in one family of addresses. A change of a lease costs what it changes."""

    def __init__(self, router: Router, backend: Backend, own: Lease, network: leases_of.Network) -> None:
        self._router, self._backend, self._own, self._network = router, backend, own, network
        self._leases: dict[str, Lease] = {}  # by node
        self._entries: dict[str, tuple[Entry, ...]] = {}
        # Of two nodes that say the same subnet (one that was replaced under another name) the later has it, whoever goes.
        self._owners: dict[Key, str] = {}

    def start(self, leases: Mapping[str, Lease | None]) -> None:
        """All that is known first; what an earlier process left for hosts that are gone since goes. LinkError from the device alone."""
        self._backend.ensure(self._router, self._own.subnet, self._network)
        self.apply(leases)
        lasting = {key(entry) for entries in self._entries.values() for entry in entries}
        for entry in sorted(self._backend.stale(self._router), key=lambda entry: not isinstance(entry, Route)):
            if key(entry) not in lasting:
                self._remove(entry)

    def apply(self, leases: Mapping[str, Lease | None]) -> None:
        """A node's lease as it is now; None: it has none any more. What the kernel refuses is logged, and tried again by `repair`."""
        for node, lease in leases.items():
            if lease is not None and (node == self._own.node or lease.subnet == self._own.subnet):
                continue
            if lease is not None and lease.attributes.backend_type != self._backend.lease_type:
                _log.warning(
                    "ignoring non-%s subnet %s: type=%s",
                    self._backend.type,
                    lease.subnet,
                    lease.attributes.backend_type,
                )
                continue
            self._change(node, lease)

    def _change(self, node: str, lease: Lease | None) -> None:
        try:
            after = self._backend.entries(lease, self._router) if lease is not None else ()
        except LeaseError as error:
            _log.error("node %s: %s", node, error)
            return
        goes, comes = difference(self._entries.get(node, ()), after)
        for entry in goes:
            if self._owners.get(key(entry)) == node:
                del self._owners[key(entry)]
                self._remove(entry)
        for entry in comes:
            self._owners[key(entry)] = node
            self._add(entry)
        if lease is None:
            self._leases.pop(node, None)
            self._entries.pop(node, None)
        else:
            self._leases[node], self._entries[node] = lease, after

    def repair(self) -> None:
        """The device and what leads through it are there again, whoever has taken them away. LinkError."""
        if self._backend.ensure(self._router, self._own.subnet, self._network):
            leases, self._leases, self._entries, self._owners = self._leases, {}, {}, {}
            self.apply(leases)
        present = self._backend.present(self._router)
        for node, entries in self._entries.items():
            missing = [
                e for e in entries if not isinstance(e, Hop) and e not in present and self._owners[key(e)] == node
            ]
            if missing:
                for entry in entries:
                    self._add(entry)

    def _add(self, entry: Entry) -> None:
        try:
            self._backend.add(self._router, entry)
        except LinkError as error:
            _log.error("%s cannot be added: %s", entry, error)

    def _remove(self, entry: Entry) -> None:
        try:
            self._backend.remove(self._router, entry)
        except LinkError as error:
            _log.error("%s cannot be removed: %s", entry, error)
