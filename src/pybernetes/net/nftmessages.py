"""Commands of nft as netlink messages of the kernel, for such as kube-proxy writes by the thousand (linux/netfilter/nf_tables.h). Pure.

The program nft reads all sets and chains of the machine before each transaction: 0.4 s at 5,000 Services, to change one endpoint. What is
known here: chains, sets of addresses with a time-out, elements of sets and verdict maps, and rules of matches on addresses, protocol,
interface and route, look-ups, a choice by chance, DNAT and verdicts. Anything else is a ValueError: nft can do it.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence

BATCH_BEGIN, BATCH_END = 16, 17
NEWCHAIN, DELCHAIN, NEWRULE, DELRULE, NEWSET, DELSET, NEWSETELEM, DELSETELEM = 3, 5, 6, 8, 9, 11, 12, 14
REQUEST, ACK, CREATE, APPEND = 0x1, 0x4, 0x400, 0x800
SUBSYSTEM = 10
_NESTED = 0x8000
_FAMILIES = {"ip": 2, "ip6": 10}
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_CODES = {"drop": 0, "jump": -3, "goto": -4}
_ANONYMOUS, _CONSTANT, _INTERVAL, _MAP, _TIMEOUT, _EVAL = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
_VERDICT_TYPE = 0xFFFFFF00
_INTEGER, _ADDRESS_TYPES = 4, {"ipv4_addr": (7, 4), "ipv6_addr": (8, 16)}  # nft's numbers of types, and lengths
_HOST, _NETWORK = 1, 2  # byte orders, as nft notes them for printing
_DYNAMIC_SIZE = 65535  # nft's, for sets that packets fill

Message = tuple[int, int, bytes]  # type, flags beside REQUEST, attributes


def messages(commands: Iterable[str], table: str) -> Iterator[tuple[str, Message]]:
    """Each command's messages, in order. `table` as nft names it: "ip kube-proxy". ValueError for a command that is not known."""
    ids = itertools.count(1)
    family, _, name = table.partition(" ")
    start = _text(1, name)
    for command in commands:
        verb, kind, rest = _split(command, table)
        for message in _command(verb, kind, rest, start, family, ids):
            yield command, message


def batch(items: Sequence[Message], table: str) -> bytes:
    """One transaction. The sequence number of an item is its position plus one; the last is acknowledged."""
    family = _FAMILIES[table.partition(" ")[0]]
    parts = [_message(BATCH_BEGIN, REQUEST, 0, struct.pack(">BBH", 0, 0, SUBSYSTEM))]
    head = struct.pack("=BBH", family, 0, 0)
    for number, (kind, flags, attributes) in enumerate(items, 1):
        flags |= REQUEST | (ACK if number == len(items) else 0)
        parts.append(_message(SUBSYSTEM << 8 | kind, flags, number, head + attributes))
    parts.append(_message(BATCH_END, REQUEST, len(items) + 1, struct.pack(">BBH", 0, 0, SUBSYSTEM)))
    return b"".join(parts)


def results(data: bytes) -> Iterator[tuple[int, int]]:
    """(sequence number, errno or 0) of what the kernel answers."""
    position = 0
    while position + 20 <= len(data):
        length, kind, _, sequence = struct.unpack_from("=IHHI", data, position)
        if kind == 2:
            yield sequence, -struct.unpack_from("=i", data, position + 16)[0]
        if length < 16:
            return
        position += (length + 3) & ~3


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def _split(command: str, table: str) -> tuple[str, str, str]:
    verb, kind, *_ = command.split(" ", 2)
    place = f"{verb} {kind} {table} "
    if not command.startswith(place):
        raise ValueError(f"no message for {command!r}")
    return verb, kind, command[len(place) :]


def _command(verb: str, kind: str, rest: str, start: bytes, family: str, ids: Iterator[int]) -> Iterator[Message]:
    name, _, more = rest.partition(" ")
    match verb, kind:
        case "add", "chain" if not more:
            yield NEWCHAIN, CREATE, start + _text(3, name)
        case "delete", "chain":
            yield DELCHAIN, 0, start + _text(3, name)
        case "flush", "chain":
            yield DELRULE, 0, start + _text(2, name)
        case "delete", "set":
            yield DELSET, 0, start + _text(2, name)
        case "add", "set" if "flags dynamic,timeout" in more:
            yield NEWSET, CREATE, start + _dynamic_set(name, more, next(ids))
        case "add", "rule":
            yield from _rule(name, more, start, family, ids)
        case (("add" | "delete"), "element"):
            elements = [_element(word) for word in more.removeprefix("{ ").removesuffix(" }").split(", ")]
            body = start + _text(2, name) + _list(3, elements)
            yield (NEWSETELEM, CREATE, body) if verb == "add" else (DELSETELEM, 0, body)
        case _:
            raise ValueError(f"no message for {verb} {kind} {rest!r}")


# --- attributes -----------------------------------------------------------------------------------


_HEAD, _WORD = struct.Struct("=HH").pack, struct.Struct(">I").pack
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def _attribute(kind: int, data: bytes) -> bytes:
    length = len(data)
    return _HEAD(4 + length, kind) + data + _PADDING[length & 3]


def _number(kind: int, value: int) -> bytes:
    return _HEAD(8, kind) + _WORD(value & 0xFFFFFFFF)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _nested(kind: int, *parts: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(parts))


def _list(kind: int, items: Iterable[bytes]) -> bytes:
    return _nested(kind, *(_nested(1, item) for item in items))


def _value(kind: int, data: bytes) -> bytes:
    return _nested(kind, _attribute(1, data))


def _verdict(kind: int, words: Sequence[str]) -> bytes:
    chain = [_text(2, words[1])] if len(words) > 1 else []
    return _nested(kind, _nested(2, _number(1, _CODES[words[0]]), *chain))


def _note(kind: int, comment: str) -> bytes:
    """User data that nft prints as a comment."""
    data = comment.encode()[:254] + b"\0"
    return _attribute(kind, bytes((0, len(data))) + data)


def _order(kind: int, key_order: int) -> bytes:
    return _attribute(kind, bytes((0, 4)) + struct.pack("=I", key_order))


# --- sets and elements ----------------------------------------------------------------------------


def _dynamic_set(name: str, declaration: str, number: int) -> bytes:
    words = declaration.split()
    kind, length = _ADDRESS_TYPES[words[words.index("type") + 1]]
    seconds = int(words[words.index("timeout") + 1].removesuffix("s"))
    return b"".join(
        (
            _text(2, name),
            _number(3, _TIMEOUT | _EVAL),
            _number(4, kind),
            _number(5, length),
            _nested(9, _number(1, _DYNAMIC_SIZE)),
            _number(10, number),
            _attribute(11, struct.pack(">Q", seconds * 1000)),
            _order(13, _NETWORK),
        )
    )


def _element(text: str) -> bytes:
    """`KEY`, or `KEY comment "TEXT" : VERDICT`; a key is a chain of address, protocol and port."""
    left, _, verdict = text.partition(" : ")
    key, _, comment = left.partition(' comment "')
    parts = [_value(1, b"".join(map(_part, key.split(" . "))))]
    if verdict:
        parts.append(_verdict(2, verdict.split()))
    if comment:
        parts.append(_note(6, comment.removesuffix('"')))
    return b"".join(parts)


@functools.lru_cache(maxsize=1 << 12)
def _part(text: str) -> bytes:
    """Each part of a key fills whole words of four bytes."""
    if text in _PROTOCOLS:
        return bytes((_PROTOCOLS[text], 0, 0, 0))
    if text.isdigit():
        return struct.pack(">HH", int(text), 0)
    return _packed(text)


def _anonymous(
    start: bytes, number: int, flags: int, key: tuple[int, int, int], elements: list[bytes]
) -> Iterator[Message]:
    """A set that lives with its rule: `key` is type, length and byte order."""
    kind, length, order = key
    name = _text(2, "__map%d" if flags & _MAP else "__set%d")
    of_map = [_number(6, _VERDICT_TYPE)] if flags & _MAP else []
    body = [_number(3, flags | _ANONYMOUS | _CONSTANT), _number(4, kind), _number(5, length), *of_map]
    body += [_nested(9, _number(1, len(elements))), _number(10, number), _order(13, order)]
    yield NEWSET, CREATE, b"".join((start, name, *body))
    yield NEWSETELEM, CREATE, b"".join((start, name, _number(4, number), _list(3, elements)))


# --- rules ----------------------------------------------------------------------------------------


def _rule(chain: str, text: str, start: bytes, family: str, ids: Iterator[int]) -> Iterator[Message]:
    statements, _, comment = text.partition(' comment "')
    words, expressions = statements.split(" "), list[bytes]()
    while words:
        if words[:4] in (["ip", "saddr", "!=", "{"], ["ip6", "saddr", "!=", "{"]):
            end = words.index("}")
            number = next(ids)
            networks = [ipaddress.ip_network(word.rstrip(",")) for word in words[4:end]]
            elements = list(_interval(networks))
            kind, length = _ADDRESS_TYPES["ipv6_addr" if family == "ip6" else "ipv4_addr"]
            yield from _anonymous(start, number, _INTERVAL, (kind, length, _NETWORK), elements)
            expressions += [_load(family, "saddr"), _lookup("__set%d", number, inverted=True)]
            words = words[end + 1 :]
        elif words[:3] == ["numgen", "random", "mod"] and words[4:6] == ["vmap", "{"]:
            number = next(ids)
            ways = " ".join(words[6:-1]).split(", ")
            elements = [_way(way) for way in ways]
            yield from _anonymous(start, number, _MAP, (_INTEGER, 4, _HOST), elements)
            chance = _expression("numgen", _number(1, 1), _number(2, int(words[3])), _number(3, 1))
            expressions += [chance, _lookup("__map%d", number, to_verdict=True)]
            words = []
        else:
            used, parts = _statement(words, family)
            expressions += parts
            words = words[used:]
    body = start + _text(2, chain) + _nested(4, *expressions)
    yield NEWRULE, CREATE | APPEND, body + (_note(7, comment.removesuffix('"')) if comment else b"")


def _statement(words: Sequence[str], family: str) -> tuple[int, list[bytes]]:
    """How many words it takes, and its expressions."""
    match words:
        case [("ip" | "ip6"), ("saddr" | "daddr") as side, "!=", value, *_]:
            return 4, [_load(family, side), *_compare(value, differs=True)]
        case [("ip" | "ip6"), ("saddr" | "daddr") as side, value, *_] if value.startswith("@"):
            return 3, [_load(family, side), _lookup(value[1:])]
        case [("ip" | "ip6"), ("saddr" | "daddr") as side, value, *_]:
            return 3, [_load(family, side), *_compare(value, differs=False)]
        case ["iifname", "!=", name, *_]:
            return 3, _interface(name, differs=True)
        case ["iifname", name, *_]:
            return 2, _interface(name, differs=False)
        case ["meta", "l4proto", protocol, *_]:
            return 3, [_meta(16), _cmp(bytes((_PROTOCOLS[protocol],)), differs=False)]
        case ["fib", "saddr", "type", "local", *_]:
            route = _expression("fib", _number(1, 1), _number(2, 3), _number(3, 1))
            return 4, [route, _cmp(struct.pack("=I", 2), differs=False)]
        case ["update", name, "{", ("ip" | "ip6"), "saddr", "}", *_]:
            update = _expression("dynset", _text(1, name[1:]), _number(3, 1), _number(4, 1))
            return 6, [_load(family, "saddr"), update]
        case ["dnat", "to", place, *_]:
            return 3, _dnat(place, family)
        case ["drop", *_]:
            return 1, [_goes(("drop",))]
        case ["jump" | "goto" as verb, chain, *_]:
            return 2, [_goes((verb, chain))]
    raise ValueError(f"no message for {' '.join(words)!r}")


def _expression(name: str, *attributes: bytes) -> bytes:
    return _nested(1, _text(1, name), _nested(2, *attributes))


@functools.lru_cache(maxsize=64)
def _load(family: str, side: str) -> bytes:
    """An address of the packet into the first register."""
    offset, length = {"ip": {"saddr": (12, 4), "daddr": (16, 4)}, "ip6": {"saddr": (8, 16), "daddr": (24, 16)}}[family][
        side
    ]
    return _expression("payload", _number(1, 1), _number(2, 1), _number(3, offset), _number(4, length))


@functools.lru_cache(maxsize=64)
def _meta(key: int) -> bytes:
    return _expression("meta", _number(1, 1), _number(2, key))


@functools.lru_cache(maxsize=64)
def _before(length: int, kind: str, register: int, differs: bool) -> bytes:
    """A comparison with, or a load of, so many bytes: all of it but these, which are its end."""
    data = _value(3 if kind == "cmp" else 2, bytes(length))
    head = [_number(1, register), *([_number(2, int(differs))] if kind == "cmp" else [])]
    whole = _expression(kind, *head, data)
    return whole[: len(whole) - length - -length % 4]


def _cmp(data: bytes, *, differs: bool) -> bytes:
    return _before(len(data), "cmp", 1, differs) + data + bytes(-len(data) % 4)


def _immediate(register: int, data: bytes) -> bytes:
    return _before(len(data), "immediate", register, False) + data + bytes(-len(data) % 4)


def _packed(address: str) -> bytes:
    """The bytes of an address; there are many, of which most are of four."""
    return ipaddress.ip_address(address).packed if ":" in address else bytes(map(int, address.split(".")))


def _compare(value: str, *, differs: bool) -> list[bytes]:
    if "/" not in value:
        return [_cmp(_packed(value), differs=differs)]
    return list(_within(value, differs))


@functools.lru_cache(maxsize=64)
def _within(value: str, differs: bool) -> tuple[bytes, bytes]:
    network = ipaddress.ip_network(value)
    mask, zero = network.netmask.packed, bytes(network.max_prefixlen // 8)
    masked = _expression(
        "bitwise", _number(1, 1), _number(2, 1), _number(3, len(mask)), _value(4, mask), _value(5, zero)
    )
    return masked, _cmp(network.network_address.packed, differs=differs)


def _interface(name: str, *, differs: bool) -> list[bytes]:
    """A whole name is compared with the bytes behind it, a prefix (with a star) without."""
    text = name.strip('"')
    data = text[:-1].encode() if text.endswith("*") else text.encode().ljust(16, b"\0")
    return [_meta(6), _cmp(data, differs=differs)]


def _lookup(name: str, number: int = 0, *, inverted: bool = False, to_verdict: bool = False) -> bytes:
    parts = [_text(1, name), _number(2, 1)]
    if to_verdict:
        parts.append(_number(3, 0))
    if number:
        parts.append(_number(4, number))
    if inverted:
        parts.append(_number(5, 1))
    return _expression("lookup", *parts)


@functools.lru_cache(maxsize=256)
def _goes(words: tuple[str, ...]) -> bytes:
    return _expression("immediate", _number(1, 0), _verdict(2, words))


def _dnat(place: str, family: str) -> list[bytes]:
    address, _, port = place.rpartition(":")
    return [_immediate(1, _packed(address.strip("[]"))), _immediate(2, struct.pack(">H", int(port))), _nat(family)]


@functools.cache
def _nat(family: str) -> bytes:
    """To the address of the first register, and the port of the second."""
    numbers = {1: 1, 2: _FAMILIES[family], 3: 1, 5: 2, 7: 2}
    return _expression("nat", *(_number(kind, value) for kind, value in numbers.items()))


def _way(text: str) -> bytes:
    """`0 : goto CHAIN`, of a choice by chance."""
    number, _, verdict = text.partition(" : ")
    return _value(1, struct.pack("=I", int(number))) + _verdict(2, verdict.split())


def _interval(networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Iterator[bytes]:
    """Where each begins and the one behind it ends, in order; what is before the first is outside, too."""
    ending = _number(3, 1)
    if int(networks[0].network_address):
        yield _value(1, bytes(networks[0].max_prefixlen // 8)) + ending
    for number, network in enumerate(networks):
        yield _value(1, network.network_address.packed)
        behind = int(network.broadcast_address) + 1
        follows = number + 1 < len(networks) and int(networks[number + 1].network_address) == behind
        if behind >> network.max_prefixlen == 0 and not follows:
            yield _value(1, behind.to_bytes(network.max_prefixlen // 8, "big")) + ending
