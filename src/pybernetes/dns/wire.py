"""DNS messages as bytes (RFC 1035, 2782, 6891). Pure.

Own code: a server reads a question and writes a few records; general libraries cost several times the time a message and the memory.
Names are text, absolute ("web.default.svc.cluster.local."), in the case that came; `Query.key` is the lower-cased one.
Record data is kept as uncompressed bytes.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

A, NS, CNAME, SOA, PTR, HINFO, MX, TXT, AAAA, SRV, OPT, AXFR, ANY = 1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 41, 252, 255
NAPTR, DNAME, DS, RRSIG, SVCB, HTTPS, IXFR = 35, 39, 43, 46, 64, 65, 251
TYPES = {
    **{A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", HINFO: "HINFO", MX: "MX", TXT: "TXT", AAAA: "AAAA"},
    **{SRV: "SRV", NAPTR: "NAPTR", DNAME: "DNAME", DS: "DS", 44: "SSHFP", RRSIG: "RRSIG", 47: "NSEC", 48: "DNSKEY"},
    **{50: "NSEC3", 52: "TLSA", SVCB: "SVCB", HTTPS: "HTTPS", 99: "SPF", IXFR: "IXFR", AXFR: "AXFR", ANY: "ANY"},
    **{256: "URI", 257: "CAA"},
}
TYPE_NUMBERS = {name: number for number, name in TYPES.items()}
IN, CHAOS = 1, 3
CLASSES = {IN: "IN", 2: "CS", CHAOS: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
CLASS_NUMBERS = {name: number for number, name in CLASSES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
RCODES = {
    **{NOERROR: "NOERROR", FORMERR: "FORMERR", SERVFAIL: "SERVFAIL", NXDOMAIN: "NXDOMAIN", NOTIMP: "NOTIMP"},
    **{REFUSED: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", BADVERS: "BADVERS"},
    **{17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE"},
}
RCODE_NUMBERS = {name: number for number, name in RCODES.items()}
QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
DO = 0x8000  # in an OPT record's TTL

PLAIN_UDP_BYTES = 512  # what a client without EDNS takes
MAX_UDP_BYTES = 4096  # more would be fragmented on the way, whatever a client says
MAX_TCP_BYTES = 65535
MAX_NAME_BYTES = 255
MAX_POINTERS = 126
MAX_OPTIONS = 16  # of an OPT record: clients send two or three

NSID, SUBNET, EDE = 3, 8, 15
# Options of a query that CoreDNS sends back as they came: NSID, expire, cookie, keepalive, padding.
ECHOED = frozenset({NSID, 9, 10, 11, 12})

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_FIXED = struct.Struct("!HHIH")
_QUESTION_POINTER = b"\xc0\x0c"
_ONE_NAME = frozenset({NS, CNAME, PTR})
EdnsOptions = tuple[tuple[int, bytes], ...]
Again = Callable[[int, int], None]  # told how often an answer was given again, and the length of the reply


class WireError(ValueError):
    """Bytes that are no DNS message."""


@dataclass(slots=True)
class Record:
    """One resource record."""

    name: str
    type: int
    ttl: int
    data: bytes
    cls: int = IN


@dataclass(slots=True)
class Query:
    """A question, who asked and how much they take."""

    id: int
    flags: int
    name: str
    key: str
    type: int
    cls: int = IN
    edns: bool = False
    dnssec: bool = False  # the DO bit
    size: int = PLAIN_UDP_BYTES
    version: int = 0
    client: tuple[str, int] = ("", 0)
    protocol: str = "udp"
    length: int = 0  # of the message
    answered: Callable[[int], None] | None = None  # told the length of the reply
    options: EdnsOptions = ()
    local: tuple[bytes, int] = (b"", 0)  # where it was sent to
    depth: int = 0  # of lookups that answering another question has led to
    question: bytes = b""  # as it came, where it is this one

    @property
    def opcode(self) -> int:
        return self.flags >> 11 & 15

    def asking(self, name: str, type: int) -> Query:
        """The same client with another question."""
        renamed = Query(self.id, self.flags, name, name.lower(), type, self.cls, self.edns, self.dnssec, self.size)
        renamed.client, renamed.protocol, renamed.length = self.client, self.protocol, self.length
        renamed.version, renamed.options, renamed.local, renamed.depth = (
            self.version,
            self.options,
            self.local,
            self.depth,
        )
        return renamed


@dataclass(slots=True)
class Answer:
    """What is sent back. `ttl`, where set, stands for every record's own. `plugin` made it (for metrics).

    `options` None: those of the query, as far as they are echoed. `silent`: nothing is sent. `remembered`: a cache may keep it. `same_until`: so long
    the same query has this answer (seconds of the clock; 0: who knows), and is not led through the plugins of which `Plugin.repeats` says so; `again`
    is told of it. The lists may be a cache's or a zone's own: a plugin that changes them makes new ones.
    """

    rcode: int = NOERROR
    answer: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)
    flags: int = 0  # AA, TC, RA, AD
    ttl: int | None = None
    plugin: str = ""
    cleared: int = 0  # flags that are not set, whoever asks for them
    options: EdnsOptions | None = None
    silent: bool = False
    remembered: bool = True
    same_until: float = 0.0
    again: tuple[Again, ...] = ()


def decode_query(data: bytes, client: tuple[str, int] = ("", 0), protocol: str = "udp") -> Query:
    """WireError unless it is one question, possibly with an OPT record."""
    if len(data) < 17:
        raise WireError("too short")
    id, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(data)
    if flags & QR:
        raise WireError("not a query")
    if questions != 1:
        raise WireError(f"{questions} questions")
    end = data.find(0, 12) + 1
    names = _names.get(data[12:end])
    plain = names is not None
    if names is None:
        name, end = read_name(data, 12)
        names = (name, name.lower())
        plain = _remember_name(data[12:end], names)
    offset = end + 4
    if len(data) < offset:
        raise WireError("the question is cut off")
    type, cls = _QUESTION.unpack_from(data, end)
    name, key = names
    query = Query(id, flags, name, key, type, cls, client=client, protocol=protocol, length=len(data))
    if plain:
        query.question = data[12:offset]
    if protocol == "tcp":
        query.size = MAX_TCP_BYTES
    if additionals or answers or authorities:
        _read_edns(data, offset, answers + authorities + additionals, query)
    return query


# Names of questions, by their bytes up to the first zero: the same ones come again and again. A name that has a zero in a label, or a
# pointer, has none there or is longer than that.
_names: dict[bytes, tuple[str, str]] = {}
MAX_NAMES = 8192


def _remember_name(raw: bytes, names: tuple[str, str]) -> bool:
    """Whether the bytes are the name and nothing else."""
    if raw != name_bytes(names[0]):
        return False
    if raw.find(0) == len(raw) - 1:
        if len(_names) >= MAX_NAMES:
            _names.clear()
        _names[raw] = names
    return True


def _read_edns(data: bytes, offset: int, count: int, query: Query) -> None:
    for _ in range(count):
        offset = _behind_name(data, offset)
        if len(data) < offset + 10:
            raise WireError("a record is cut off")
        type, cls, ttl, length = _FIXED.unpack_from(data, offset)
        start, offset = offset + 10, offset + 10 + length
        if offset > len(data):
            raise WireError("record data are cut off")
        if type == OPT:
            query.edns, query.dnssec, query.version = True, bool(ttl & DO), ttl >> 16 & 255
            if length:
                query.options = read_options(data[start:offset])
            if query.protocol != "tcp":
                query.size = min(max(cls, PLAIN_UDP_BYTES), MAX_UDP_BYTES)


def _behind_name(data: bytes, offset: int) -> int:
    """Where a name ends that nobody asks for; pointers are not followed."""
    try:
        while length := data[offset]:
            if length >= 0xC0:
                return offset + 2
            offset += 1 + length
    except IndexError:
        raise WireError("a name is cut off") from None
    return offset + 1


def read_options(data: bytes) -> EdnsOptions:
    """(code, data) of each option of an OPT record; more than MAX_OPTIONS are left out. WireError."""
    options: list[tuple[int, bytes]] = []
    offset = 0
    while offset < len(data) and len(options) < MAX_OPTIONS:
        if offset + 4 > len(data):
            raise WireError("an option is cut off")
        code, length = _QUESTION.unpack_from(data, offset)
        offset += 4
        if offset + length > len(data):
            raise WireError("an option is cut off")
        options.append((code, data[offset : offset + length]))
        offset += length
    return tuple(options)


def read_name(data: bytes, offset: int) -> tuple[str, int]:
    """The name at an offset, and the offset behind it."""
    labels: list[str] = []
    end = -1
    length_so_far = 0
    pointers = 0
    try:
        while True:
            length = data[offset]
            if length == 0:
                offset += 1
                break
            if length >= 0xC0:
                if end < 0:
                    end = offset + 2
                offset = (length & 0x3F) << 8 | data[offset + 1]
                pointers += 1
                if pointers > MAX_POINTERS:
                    raise WireError("a name that points to itself")
                continue
            if length > 63:
                raise WireError("a label of unknown kind")
            label = data[offset + 1 : offset + 1 + length]
            if len(label) < length:
                raise WireError("a name is cut off")
            length_so_far += length + 1
            if length_so_far >= MAX_NAME_BYTES:
                raise WireError("a name is too long")
            labels.append(_label_text(label))
            offset += 1 + length
    except IndexError:
        raise WireError("a name is cut off") from None
    labels.append("")
    return (".".join(labels) if len(labels) > 1 else "."), (end if end >= 0 else offset)


@lru_cache(maxsize=4096)
def _label_text(label: bytes) -> str:
    """As master files write it: dots, backslashes and what is not printable are escaped."""
    if label.replace(b"-", b"").replace(b"_", b"").isalnum():
        return label.decode("ascii")
    return "".join(f"\\{chr(b)}" if b in b'.\\"();@$' else chr(b) if 32 < b < 127 else f"\\{b:03d}" for b in label)


def split_name(name: str) -> list[str]:
    """Labels without the root; escapes stay as they are."""
    if name == ".":
        return []
    if "\\" not in name:
        return name.rstrip(".").split(".")
    labels, current, index = [], "", 0
    while index < len(name):
        character = name[index]
        if character == "\\":
            step = 4 if name[index + 1 : index + 4].isdigit() else 2
            current += name[index : index + step]
            index += step
            continue
        if character == ".":
            labels.append(current)
            current = ""
        else:
            current += character
        index += 1
    return [*labels, current] if current else labels


def _label_bytes(label: str) -> bytes:
    if "\\" not in label:
        raw = label.encode()
    else:
        out, index = bytearray(), 0
        while index < len(label):
            if label[index] == "\\" and label[index + 1 : index + 4].isdigit():
                out.append(int(label[index + 1 : index + 4]) & 255)
                index += 4
            else:
                index += label[index] == "\\"
                out += label[index : index + 1].encode()
                index += 1
        raw = bytes(out)
    if not 0 < len(raw) < 64:
        raise WireError(f"label {label!r} has not between 1 and 63 bytes")
    return raw


@lru_cache(maxsize=4096)
def name_bytes(name: str) -> bytes:
    """The uncompressed form. WireError for a name that cannot be."""
    raw = b"".join(bytes((len(part),)) + part for part in map(_label_bytes, split_name(name))) + b"\0"
    if len(raw) > MAX_NAME_BYTES:
        raise WireError(f"name {name!r} is too long")
    return raw


def absolute(name: str) -> str:
    """With the dot at the end."""
    return name if name.endswith(".") else f"{name}."


def within(key: str, zone: str) -> bool:
    """Whether a lower-cased name is the zone or below it."""
    return zone == "." or key == zone or key.endswith(f".{zone}")


def encode_query(
    id: int,
    name: str,
    type: int,
    flags: int = RD,
    size: int = 0,
    dnssec: bool = False,
    cls: int = IN,
    options: EdnsOptions = (),
) -> bytes:
    """A question; with a size an OPT record goes along."""
    text = _HEADER.pack(id, flags, 1, 0, 0, 1 if size else 0) + name_bytes(name) + _QUESTION.pack(type, cls)
    return text + _opt(size, dnssec, 0, options) if size else text


@lru_cache(maxsize=1024)
def _opt(size: int, dnssec: bool, extended: int, options: EdnsOptions) -> bytes:
    data = b"".join(_QUESTION.pack(code, len(value)) + value for code, value in options) if options else b""
    return b"\0" + _FIXED.pack(OPT, size, extended << 24 | (DO if dnssec else 0), len(data)) + data


def _options_of(query: Query, answer: Answer) -> EdnsOptions:
    """Of the reply: its own, or what is echoed of the query's."""
    if answer.options is not None:
        return answer.options
    return tuple(option for option in query.options if option[0] in ECHOED) if query.options else ()


def encode_answer(query: Query, answer: Answer) -> bytes:
    """The reply, cut to what the client takes: additional records go first, then TC tells that others went."""
    flags = QR | (query.flags & (0x7800 | RD | CD) | answer.flags) & ~answer.cleared | answer.rcode & 15
    size = query.size if query.protocol == "udp" else MAX_UDP_BYTES
    opt = _opt(size, query.dnssec, answer.rcode >> 4, _options_of(query, answer)) if query.edns else b""
    if not answer.authority and not answer.additional:
        plain = _plain(query, answer, query.size - len(opt))
        if plain is not None:
            head = _HEADER.pack(query.id, flags, 1, len(answer.answer), 0, 1 if opt else 0)
            return b"".join((head, *plain, opt))
    writer = _Writer(query, query.size - len(opt), answer.ttl)
    counts = [0, 0, 0]
    for index, section in enumerate((answer.answer, answer.authority, answer.additional)):
        counts[index] = writer.add(section)
        if counts[index] < len(section):
            if index < 2:
                flags |= TC
            break
    extra = counts[2] + (1 if opt else 0)
    head = _HEADER.pack(query.id, flags, 1, counts[0], counts[1], extra)
    return b"".join((head, *writer.parts, opt))


def _plain(query: Query, answer: Answer, limit: int) -> list[bytes] | None:
    """Question and answer where all records are of the name that was asked and have no names in their data, as addresses; else None."""
    question = query.question or name_bytes(query.name) + _QUESTION.pack(query.type, query.cls)
    parts = [question]
    length = 12 + len(question)
    ttl, key = answer.ttl, query.key
    for record in answer.answer:
        name = record.name
        if (name != key and name.lower() != key) or record.type in _ONE_NAME:
            return None
        data = record.data
        parts += (
            _QUESTION_POINTER,
            _FIXED.pack(record.type, record.cls, record.ttl if ttl is None else ttl, len(data)),
            data,
        )
        length += 12 + len(data)
    return parts if length <= limit else None


class _Writer:
    """Question and records with compressed names, up to a limit."""

    __slots__ = ("_key", "_limit", "_offsets", "_ttl", "length", "parts")

    def __init__(self, query: Query, limit: int, ttl: int | None) -> None:
        question = query.question or name_bytes(query.name) + _QUESTION.pack(query.type, query.cls)
        self.parts = [question]
        self.length = 12 + len(question)
        self._key, self._limit, self._ttl = query.key, limit, ttl
        self._offsets: dict[str, int] | None = None

    def add(self, records: Sequence[Record]) -> int:
        """How many fit."""
        for count, record in enumerate(records):
            name = record.name
            owner = _QUESTION_POINTER if name == self._key or name.lower() == self._key else self._compressed(name, 0)
            data = record.data
            if record.type in _ONE_NAME:
                data = self._compressed(read_name(data, 0)[0], len(owner) + 10)
            ttl = record.ttl if self._ttl is None else self._ttl
            piece = owner + _FIXED.pack(record.type, record.cls, ttl, len(data)) + data
            if self.length + len(piece) > self._limit:
                return count
            self.parts.append(piece)
            self.length += len(piece)
        return len(records)

    def _compressed(self, name: str, ahead: int) -> bytes:
        """The name with a pointer to a tail that is there already; new tails are remembered."""
        if self._offsets is None:
            self._offsets = {}
            self._remember(self._key, 12)
        offsets = self._offsets
        lowered = name.lower()
        labels = split_name(lowered)
        out = b""
        for index, label in enumerate(split_name(name)):
            tail = ".".join(labels[index:]) + "."
            offset = offsets.get(tail)
            if offset is not None:
                return out + (0xC000 | offset).to_bytes(2, "big")
            at = self.length + ahead + len(out)
            if at < 0x4000:
                offsets[tail] = at
            raw = _label_bytes(label)
            out += bytes((len(raw),)) + raw
        return out + b"\0"

    def _remember(self, key: str, at: int) -> None:
        assert self._offsets is not None
        labels = split_name(key)
        for index, label in enumerate(labels):
            self._offsets[".".join(labels[index:]) + "."] = at
            at += 1 + len(_label_bytes(label))


@dataclass(slots=True)
class Reply:
    """Another server's answer."""

    id: int
    flags: int
    name: str
    type: int
    answer: Answer
    cls: int = IN


def decode_reply(data: bytes) -> Reply:
    """WireError for what is no reply to one question."""
    if len(data) < 12:
        raise WireError("too short")
    id, flags, questions, *counts = _HEADER.unpack_from(data)
    if not flags & QR or questions != 1:
        raise WireError("not a reply to one question")
    name, offset = read_name(data, 12)
    if len(data) < offset + 4:
        raise WireError("the question is cut off")
    type, cls = _QUESTION.unpack_from(data, offset)
    offset += 4
    sections: list[list[Record]] = []
    extended, options = 0, None
    names: dict[int, str] = {}
    for count in counts:
        records = []
        for _ in range(count):
            record, offset = _read_record(data, offset, names)
            if record.type == OPT:
                extended, options = record.ttl >> 24, read_options(record.data)
            else:
                records.append(record)
        sections.append(records)
    answer = Answer(flags & 15 | extended << 4, sections[0], sections[1], sections[2], flags & (AA | TC | RA | AD))
    answer.options = options
    return Reply(id, flags, name, type, answer, cls)


def _read_record(data: bytes, offset: int, names: dict[int, str]) -> tuple[Record, int]:
    """`names`: those that pointers have led to; thousands of records may point to one long name."""
    place = data[offset : offset + 2]
    if len(place) == 2 and place[0] >= 0xC0:
        target = (place[0] & 0x3F) << 8 | place[1]
        name = names.get(target, "")
        if not name:
            name = names[target] = read_name(data, offset)[0]
        offset += 2
    else:
        name, offset = read_name(data, offset)
    if len(data) < offset + 10:
        raise WireError("a record is cut off")
    type, cls, ttl, length = _FIXED.unpack_from(data, offset)
    start, end = offset + 10, offset + 10 + length
    if end > len(data):
        raise WireError("record data are cut off")
    return Record(name, type, ttl, _expanded(data, type, start, end), cls), end


# Where names stand in the data of types whose names may be compressed: bytes before the first name, number of names.
NAMES_AT = {NS: (0, 1), CNAME: (0, 1), PTR: (0, 1), DNAME: (0, 1), SOA: (0, 2), MX: (2, 1), SRV: (6, 1)}


def _expanded(data: bytes, type: int, start: int, end: int) -> bytes:
    place = NAMES_AT.get(type)
    if place is None:
        return data[start:end]
    skip, names = place
    out = data[start : start + skip]
    offset = start + skip
    for _ in range(names):
        name, offset = read_name(data, offset)
        out += name_bytes(name)
    return out + data[offset:end]


def address_record(name: str, address: str, ttl: int) -> Record:
    """A or AAAA."""
    packed = packed_address(address)
    return Record(name, A if len(packed) == 4 else AAAA, ttl, packed)


@lru_cache(maxsize=8192)
def packed_address(address: str) -> bytes:
    """4 or 16 bytes; ValueError."""
    return ipaddress.ip_address(address).packed


def name_record(name: str, type: int, target: str, ttl: int) -> Record:
    """CNAME, PTR or NS."""
    return Record(name, type, ttl, name_bytes(absolute(target)))


def srv_record(name: str, priority: int, weight: int, port: int, target: str, ttl: int) -> Record:
    """RFC 2782."""
    return Record(name, SRV, ttl, struct.pack("!HHH", priority, weight, port) + name_bytes(absolute(target)))


def txt_record(name: str, texts: Iterable[str], ttl: int) -> Record:
    """One string each, of at most 255 bytes."""
    return Record(name, TXT, ttl, b"".join(bytes((len(t.encode()),)) + t.encode() for t in texts))


def soa_record(zone: str, serial: int, ttl: int) -> Record:
    """As CoreDNS makes one up for a zone of its own."""
    names = name_bytes(joined("ns.dns", zone)) + name_bytes(joined("hostmaster", zone))
    numbers = struct.pack("!IIIII", serial & 0xFFFFFFFF, 7200, 1800, 86400, ttl)
    return Record(zone, SOA, min(ttl, 300), names + numbers)


def joined(prefix: str, zone: str) -> str:
    """prefix.zone"""
    return f"{prefix}." if zone == "." else f"{prefix}.{zone}"


def address_of_reverse(key: str) -> str:
    """The address that a name below in-addr.arpa. or ip6.arpa. stands for, "" if it is none in full."""
    labels = split_name(key)
    try:
        if key.endswith(".in-addr.arpa.") and len(labels) == 6:
            return str(ipaddress.IPv4Address(".".join(reversed(labels[:4]))))
        if key.endswith(".ip6.arpa.") and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
            digits = "".join(reversed(labels[:32]))
            return str(ipaddress.IPv6Address(int(digits, 16)))
    except ValueError:
        return ""
    return ""


def type_name(type: int) -> str:
    """A, AAAA, ..., TYPE1234."""
    return TYPES.get(type) or f"TYPE{type}"
