"""Whose turn it is among a port's endpoints (upstream: pkg/proxy/userspace/roundrobin.go). Pure: it is told the time, and what chance says."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ...model import Endpoint

# Clients of one port that are remembered: who is forgotten, the one that came longest ago, may be sent elsewhere.
MOST_CLIENTS = 16_384

Shuffle = Callable[[list[Endpoint]], None]


class RoundRobin:
    """One endpoint after the other; with affinity a client keeps his, until he has been away for so many seconds."""

    def __init__(self, shuffle: Shuffle) -> None:
        self._shuffle = shuffle  # else all nodes would begin with the same one
        self._endpoints: list[Endpoint] = []
        self._turn = 0
        self._seconds = 0
        self._clients: OrderedDict[str, tuple[Endpoint, float]] = OrderedDict()  # since when; the longest first

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """In the order in which they are used."""
        return self._endpoints

    def update(self, endpoints: Sequence[Endpoint], affinity_seconds: int) -> None:
        """Clients of endpoints that are gone are free; 0 seconds: no affinity."""
        self._seconds = affinity_seconds
        if not affinity_seconds:
            self._clients.clear()
        left = set(endpoints)
        if left == set(self._endpoints):
            return
        for client in [c for c, (endpoint, _) in self._clients.items() if endpoint not in left]:
            del self._clients[client]
        self._endpoints, self._turn = list(endpoints), 0
        self._shuffle(self._endpoints)

    def next(self, client: str, now: float, reset: bool = False) -> Endpoint | None:
        """The one to try for a client; with `reset`, where his own has not answered, the next one. None where there is none."""
        self._expire(now)
        if not self._endpoints:
            return None
        own = None if reset else self._clients.get(client)
        if own is not None:
            endpoint = own[0]
        else:
            endpoint = self._endpoints[self._turn]
            self._turn = (self._turn + 1) % len(self._endpoints)
        if self._seconds:
            self._clients[client] = endpoint, now
            self._clients.move_to_end(client)
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
        return endpoint

    def _expire(self, now: float) -> None:
        while self._clients:
            client, (_, since) = next(iter(self._clients.items()))
            if now - since < self._seconds:
                return
            del self._clients[client]
