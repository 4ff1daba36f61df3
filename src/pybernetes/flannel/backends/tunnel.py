"""Passes packets between a TUN device and a UDP socket, on a thread of its own (upstream: run_proxy of pkg/backend/udp/proxy_amd64.c)."""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import threading
from collections import Counter

from pybernetes.net.tun import Tun

from ..lease import Network
from ..packets import HEADER, decrement_ttl, is_whole, net_unreachable

_log = logging.getLogger(__name__)

BATCH = 64  # packets of one side before the other has its turn
BUFFER_BYTES = 1 << 16
SOCKET_BYTES = 4 << 20  # of packets that wait while the thread does; the kernel gives as much as it allows
MOST_CACHED = 1 << 16  # addresses of pods with where they go; a sweep over the network must not fill the memory

Address = tuple[str, int]


class Table:
    """Where which subnet is. Read by the tunnel's thread, written by another: whatever is read at once is one object, whole before it is there."""

    def __init__(self) -> None:
        self._hops: dict[tuple[int, int], str] = {}  # by the subnet's bits and their number
        self._counts: Counter[int] = Counter()  # how many subnets of a length there are
        self._lengths: tuple[int, ...] = ()  # the longest first
        self.version = 0

    def set(self, subnet: Network, host: str) -> None:
        """In place of the host that had it."""
        key = _key(int(subnet.network_address), subnet.prefixlen)
        if key not in self._hops:
            self._count(subnet.prefixlen, 1)
        self._hops[key] = host
        self.version += 1

    def remove(self, subnet: Network, host: str) -> None:
        """Another host's stays."""
        key = _key(int(subnet.network_address), subnet.prefixlen)
        if self._hops.get(key) == host:
            del self._hops[key]
            self._count(subnet.prefixlen, -1)
            self.version += 1

    def _count(self, length: int, change: int) -> None:
        self._counts[length] += change
        if self._counts[length] in (0, 1):
            self._lengths = tuple(sorted((one for one, count in self._counts.items() if count), reverse=True))

    def find(self, address: bytes) -> str | None:
        """The host of a pod's address."""
        number = int.from_bytes(address)
        for length in self._lengths:
            host = self._hops.get(_key(number, length))
            if host is not None:
                return host
        return None

    def __contains__(self, hop: tuple[Network, str]) -> bool:
        subnet, host = hop
        return self._hops.get(_key(int(subnet.network_address), subnet.prefixlen)) == host


def _key(address: int, length: int) -> tuple[int, int]:
    return address >> (32 - length), length


class Tunnel:
    """Runs from its making until `close`, or until the device is taken away: then `alive` is False."""

    def __init__(self, tun: Tun, own: bytes, local: Address, table: Table) -> None:
        """`own` is this host's address on the device, from which ICMP is sent; `local` where others' packets come in. OSError."""
        self.tun = tun
        self._own, self._table = own, table
        self._port = local[1]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
            self._socket.bind(local)
        except OSError:
            self._socket.close()
            raise
        self._cache: dict[bytes, Address | None] = {}
        self._cached = -1  # the table's version that the cache is of
        self._ended, self._end = os.pipe()
        self._told: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="tunnel", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """The device goes, too."""
        os.write(self._end, b"x")
        self._thread.join()
        for descriptor in (self._ended, self._end, self.tun.descriptor):
            os.close(descriptor)
        self._socket.close()

    def _run(self) -> None:
        poll = select.poll()
        for descriptor in (self.tun.descriptor, self._socket.fileno(), self._ended):
            poll.register(descriptor, select.POLLIN)
        buffer = bytearray(BUFFER_BYTES)
        view = memoryview(buffer)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._ended in ready:
                return
            try:
                active = True
                while active:  # as long as either side has a packet nobody needs to be asked
                    active = self._outward(buffer, view) | self._inward(buffer, view)
                    if active and self._stopping():
                        return
            except OSError as error:
                _log.error("TUN device %s: %s", self.tun.name, error.strerror or error)
                return

    def _stopping(self) -> bool:
        return bool(select.select([self._ended], [], [], 0)[0])

    def _outward(self, buffer: bytearray, view: memoryview) -> bool:
        """From the device to other hosts; whether there was anything. OSError of the device."""
        read, send, descriptor, places = os.readv, self._socket.sendto, self.tun.descriptor, [buffer]
        if self._cached != self._table.version or len(self._cache) > MOST_CACHED:
            self._cached, self._cache = self._table.version, {}
        cache = self._cache
        for count in range(BATCH):
            try:
                length = read(descriptor, places)
            except BlockingIOError:
                return count > 0
            if not is_whole(buffer, length):
                continue  # IPv6's, which finds its routers on every device
            address = bytes(view[16:HEADER])
            try:
                target = cache[address]
            except KeyError:
                host = self._table.find(address)
                target = cache[address] = (host, self._port) if host is not None else None
            if target is None:
                answer = net_unreachable(bytes(view[:length]), self._own)
                if answer is not None:
                    os.write(descriptor, answer)
            elif decrement_ttl(buffer):
                try:
                    send(view[:length], target)
                except OSError as error:
                    self._tell(error, target)
        return True

    def _inward(self, buffer: bytearray, view: memoryview) -> bool:
        """From other hosts to the device."""
        receive, write, descriptor = self._socket.recv_into, os.write, self.tun.descriptor
        for count in range(BATCH):
            try:
                length = receive(buffer)
            except BlockingIOError:
                return count > 0
            except OSError as error:
                self._tell(error, None)
                return count > 0
            if is_whole(buffer, length) and decrement_ttl(buffer):
                try:
                    write(descriptor, view[:length])
                except OSError as error:
                    if error.errno in (errno.EBADFD, errno.EBADF):
                        raise
                    self._tell(error, None)  # what is no packet: the kernel says which
        return True

    def _tell(self, error: OSError, target: Address | None) -> None:
        """Once for each kind: packets are many."""
        if error.errno not in self._told:
            self._told.add(error.errno or 0)
            where = f"UDP send to {target[0]}:{target[1]}" if target else "a packet of another host"
            _log.error("%s failed: %s (this is told once)", where, error.strerror or error)
