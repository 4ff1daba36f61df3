"""Says on this node's links that it has addresses which no interface of it carries: raw sockets for ARP, ICMPv6 for neighbour discovery."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Collection, Sequence

from pybernetes.net.routes import Link

from . import frames

_log = logging.getLogger(__name__)

FRAME_BYTES = 2048
ICMP6_FILTER = 1  # linux/icmpv6.h
FRAMES_A_TURN = 64  # so that a flood of questions leaves others their turn


class Announcer:
    """Answers for the addresses that were `set`. OSError where sockets cannot be had. Close it."""

    def __init__(self, links: Sequence[Link], loop: asyncio.AbstractEventLoop) -> None:
        self._held: frozenset[str] = frozenset()
        self._loop = loop
        self._arp: dict[socket.socket, bytes] = {}
        self._neighbours: dict[socket.socket, tuple[Link, bytes]] = {}
        try:
            for link in links:
                self._open(link)
        except BaseException:
            self.close()
            raise

    def _open(self, link: Link) -> None:
        mac = bytes.fromhex(link.mac.replace(":", ""))
        arp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(frames.ETHERTYPE_ARP))
        self._arp[arp] = mac
        arp.setblocking(False)
        arp.bind((link.name, frames.ETHERTYPE_ARP))
        self._loop.add_reader(arp, self._on_arp, arp, mac)
        if not link.ipv6_addresses:
            return
        neighbours = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self._neighbours[neighbours] = (link, mac)
        neighbours.setblocking(False)
        neighbours.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.name.encode())
        for option in (socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS):
            neighbours.setsockopt(socket.IPPROTO_IPV6, option, frames.HOP_LIMIT)
        neighbours.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
        neighbours.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, _only(frames.SOLICITATION))
        self._loop.add_reader(neighbours, self._on_solicitation, neighbours, link, mac)

    def set(self, addresses: Collection[str]) -> None:
        """These are this node's, from now on; new ones are told to all on the links."""
        before, held = self._held, frozenset(addresses)
        fresh, gone = held - before, before - held
        self._held = held
        old, new = (frozenset(map(frames.solicited_node_group, filter(_is_ipv6, each))) for each in (before, held))
        for group in new - old:
            self._membership(group, socket.IPV6_JOIN_GROUP)
        for group in old - new:
            self._membership(group, socket.IPV6_LEAVE_GROUP)
        for address in sorted(fresh):
            _log.info("announcing %s", address)
            self.tell(address)
        for address in sorted(gone):
            _log.info("no longer announcing %s", address)

    def repeat(self) -> None:
        """Tells all again what is held, for who has missed it."""
        for address in sorted(self._held):
            self.tell(address)

    def tell(self, address: str) -> None:
        """To all on the links: whoever knew another holder learns of this one."""
        if ":" in address:
            for each, (link, mac) in self._neighbours.items():
                _send(each, frames.advertisement(mac, address, False), (frames.ALL_NODES, 0, 0, link.index))
            return
        for each, mac in self._arp.items():
            for frame in frames.gratuitous_arp(mac, address):
                _send(each, frame)

    def _membership(self, group: str, option: int) -> None:
        """Solicitations come by multicast, and only to who is in the address's group."""
        packed = socket.inet_pton(socket.AF_INET6, group)
        for each, (link, _) in self._neighbours.items():
            try:
                each.setsockopt(socket.IPPROTO_IPV6, option, packed + struct.pack("=I", link.index))
            except OSError as error:
                _log.error("group %s on %s: %s", group, link.name, error.strerror)

    def _on_arp(self, each: socket.socket, mac: bytes) -> None:
        for _ in range(FRAMES_A_TURN):
            try:
                frame = each.recv(FRAME_BYTES)
            except OSError:
                return
            asked = frames.arp_request(frame)
            if asked is not None and asked.target in self._held and asked.sender != asked.target:
                _send(each, frames.arp_reply(mac, asked.target, asked))

    def _on_solicitation(self, each: socket.socket, link: Link, mac: bytes) -> None:
        for _ in range(FRAMES_A_TURN):
            try:
                message, sender = each.recvfrom(FRAME_BYTES)
            except OSError:
                return
            address = frames.solicited(message)
            if address is not None and address in self._held:
                who = frames.ALL_NODES if sender[0] == "::" else sender[0].partition("%")[0]
                _send(each, frames.advertisement(mac, address, True), (who, 0, 0, link.index))

    def close(self) -> None:
        """Nobody is told: whoever holds the addresses next does."""
        for each in (*self._arp, *self._neighbours):
            self._loop.remove_reader(each)
            each.close()


def _send(each: socket.socket, data: bytes, to: tuple[str, int, int, int] | None = None) -> None:
    """What cannot be sent now is asked for again."""
    try:
        if to is None:
            each.send(data)
        else:
            each.sendto(data, to)
    except OSError as error:
        _log.debug("an announcement could not be sent: %s", error)


def _only(type: int) -> bytes:
    """A filter that lets one type of message pass: a bit that is set keeps its type away."""
    words = [0xFFFF_FFFF] * 8
    words[type // 32] &= ~(1 << (type % 32))
    return struct.pack("=8I", *words)


def _is_ipv6(address: str) -> bool:
    return ":" in address
