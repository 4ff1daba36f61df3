"""Copies datagrams from a local port to endpoints and back (upstream: pkg/proxy/userspace/proxysocket.go, udpProxySocket)."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from pybernetes.aio.clock import Cancellable, Clock

from ...model import Endpoint
from .balancer import RoundRobin
from .ports import Budget

_log = logging.getLogger(__name__)

MOST_CLIENTS = 4096  # of one port; the one that has been silent for longest makes room
LARGEST = 65_535  # bytes of a datagram
BATCH = 32  # datagrams in one turn, so that others get theirs
TRIES = 4  # as many as of TCP
IP_PKTINFO = 8  # linux/in.h; the module socket has no name for it
_INFO4, _INFO6 = struct.Struct("@i4s4s"), struct.Struct("@16si")  # in_pktinfo, in6_pktinfo

Client = tuple[Any, ...]  # its address as sockets give it
Ancillary = list[tuple[int, int, bytes]]


@dataclass(slots=True)
class _Flow:
    """A client's own socket, connected to its endpoint."""

    socket: socket.socket
    endpoint: Endpoint
    answer_from: Ancillary  # the address to which the client sends
    last: float


class UDPRelay:
    """See `tcp.Relay`. A client has one endpoint until nothing was sent either way for `timeout` seconds."""

    def __init__(
        self, name: str, bound: socket.socket, balancer: RoundRobin, budget: Budget, clock: Clock, timeout: float
    ) -> None:
        self.port: int = bound.getsockname()[1]
        self.balancer = balancer
        self._name, self._socket, self._budget, self._clock, self._timeout = name, bound, budget, clock, timeout
        self._flows: OrderedDict[Client, _Flow] = OrderedDict()  # the one that has been silent for longest first
        self._timer: Cancellable | None = None
        self._loop = asyncio.get_running_loop()
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self._loop.add_reader(bound, self._on_clients)

    @property
    def flows(self) -> int:
        """How many clients there are."""
        return len(self._flows)

    def update(self) -> None:
        """Clients of endpoints that are gone are sent to another one with their next datagram."""
        left = set(self.balancer.endpoints)
        for client in [c for c, flow in self._flows.items() if flow.endpoint not in left]:
            self._forget(client)

    def close(self) -> None:
        """All ends: an answer to nobody is of no use."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for client in list(self._flows):
            self._forget(client)
        if self._timer is not None:
            self._timer.cancel()

    abort = close

    def _on_clients(self) -> None:
        for _ in range(BATCH):
            try:
                data, ancillary, _, client = self._socket.recvmsg(LARGEST, socket.CMSG_SPACE(_INFO6.size))
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error about an earlier answer
                _log.debug("%s: %s", self._name, error)
                continue
            flow = self._flows.get(client) or self._open(client, _answering(ancillary))
            if flow is None:
                continue
            try:
                flow.socket.send(data)
            except BlockingIOError:
                continue  # the endpoint's side is full: datagrams may be lost
            except OSError as error:  # it has refused an earlier one
                _log.debug("%s: %s: %s", self._name, flow.endpoint, error)
                self._forget(client)
            else:
                self._touch(client, flow)

    def _open(self, client: Client, answer_from: Ancillary) -> _Flow | None:
        if len(self._flows) >= MOST_CLIENTS:
            self._forget(next(iter(self._flows)))
        if not self._budget.take():
            if not self._flows:
                return None  # other ports have all there is
            self._forget(next(iter(self._flows)))
            self._budget.take()
        flow = self._connected(client, answer_from)
        if flow is None:
            self._budget.give()
            return None
        self._flows[client] = flow
        self._loop.add_reader(flow.socket, functools.partial(self._on_endpoint, client, flow))
        if self._timer is None:
            self._timer = self._clock.call_later(self._timeout, self._expire)
        return flow

    def _connected(self, client: Client, answer_from: Ancillary) -> _Flow | None:
        now, reset = self._clock.monotonic(), False
        for _ in range(TRIES):
            endpoint = self.balancer.next(client[0], now, reset)
            if endpoint is None:
                return None
            try:
                own = socket.socket(self._socket.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            except OSError as error:  # no descriptor is left
                _log.error("%s: %s", self._name, error)
                return None
            try:
                own.connect((endpoint.ip, endpoint.port))
            except OSError as error:  # no way there
                own.close()
                _log.info("%s: dial of %s failed: %s", self._name, endpoint, error)
                reset = True
            else:
                return _Flow(own, endpoint, answer_from, now)
        return None

    def _on_endpoint(self, client: Client, flow: _Flow) -> None:
        for _ in range(BATCH):
            try:
                data = flow.socket.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError as error:  # refused: the next datagram goes to another one
                _log.debug("%s: %s: %s", self._name, flow.endpoint, error)
                self._forget(client)
                return
            try:
                self._socket.sendmsg([data], flow.answer_from, 0, client)
            except OSError as error:  # also where the client's side is full
                _log.debug("%s: %s: %s", self._name, client[0], error)
            self._touch(client, flow)

    def _touch(self, client: Client, flow: _Flow) -> None:
        flow.last = self._clock.monotonic()
        self._flows.move_to_end(client)

    def _forget(self, client: Client) -> None:
        flow = self._flows.pop(client)
        self._loop.remove_reader(flow.socket)
        flow.socket.close()
        self._budget.give()

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._flows:
            client, flow = next(iter(self._flows.items()))
            left = flow.last + self._timeout - now
            if left > 0:
                self._timer = self._clock.call_later(left, self._expire)
                return
            self._forget(client)


def _answering(ancillary: Ancillary) -> Ancillary:
    """By which an answer comes from the address that was asked; the kernel would choose one by the route."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) >= _INFO4.size:
            _, local, _ = _INFO4.unpack_from(data)
            return [(level, kind, _INFO4.pack(0, local, bytes(4)))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) >= _INFO6.size:
            return [(level, kind, data)]
    return []
