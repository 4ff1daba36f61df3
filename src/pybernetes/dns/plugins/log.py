"""log [NAMES...] [FORMAT] { class CLASSES }: a line for each query (upstream: plugin/log, plugin/pkg/replacer)."""

from __future__ import annotations

import logging
import re
import socket

from ..corefile import CorefileError, Directive, normalized
from ..plugin import BlockContext, Plugin, matching
from ..wire import (
    AA,
    AD,
    CD,
    CLASSES,
    NOERROR,
    NXDOMAIN,
    QR,
    RA,
    RCODES,
    RD,
    TC,
    Answer,
    Query,
    encode_answer,
)
from ..wire import type_name as type_name_of

_log = logging.getLogger(__name__)

NAME = "log"
COMMON = '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}'
FORMATS = {"{common}": COMMON, "{combined}": COMMON + ' "{>opcode}"'}
CLASS_NAMES = ("success", "denial", "error", "all")
FLAGS = ((QR, "qr"), (AA, "aa"), (TC, "tc"), (RD, "rd"), (RA, "ra"), (AD, "ad"), (CD, "cd"))
_PLACE = re.compile(r"\{[^{}]+\}")


class Log(Plugin):
    """Queries for the zones whose answer is of the classes."""

    name = NAME

    def __init__(self, zones: list[str], format: str, classes: frozenset[str]) -> None:
        super().__init__()
        self._zones, self._format, self._classes = zones, format, classes

    async def serve(self, query: Query) -> Answer:
        started = self.clock.monotonic()
        answer = await self.next(query)
        if matching(query.key, self._zones) and {"all", class_of(answer)} & self._classes:
            _log.info("%s", line(self._format, query, answer, self.clock.monotonic() - started))
        return answer


def class_of(answer: Answer) -> str:
    """success, denial (no such name or data) or error."""
    if answer.rcode == NXDOMAIN or (answer.rcode == NOERROR and not answer.answer):
        return "denial"
    return "success" if answer.rcode == NOERROR else "error"


def local_of(query: Query) -> str:
    """The address that was asked, in brackets where it is IPv6."""
    address = query.local[0]
    if not address:
        return "-"
    return (
        socket.inet_ntop(socket.AF_INET, address)
        if len(address) == 4
        else f"[{socket.inet_ntop(socket.AF_INET6, address)}]"
    )


def line(format: str, query: Query, answer: Answer, seconds: float) -> str:
    """The format with every placeholder that is known filled in."""
    size = len(encode_answer(query, answer))
    flags = QR | query.flags & (RD | CD) | answer.flags
    host, port = query.client
    values = {
        "{remote}": f"[{host}]" if ":" in host else host,
        "{port}": str(port),
        "{local}": local_of(query),
        "{>id}": str(query.id),
        "{type}": type_name_of(query.type),
        "{class}": CLASSES.get(query.cls) or f"CLASS{query.cls}",
        "{name}": query.name,
        "{proto}": query.protocol,
        "{size}": str(query.length),
        "{>do}": str(query.dnssec).lower(),
        "{>bufsize}": str(query.size),
        "{>opcode}": str(query.opcode),
        "{rcode}": RCODES.get(answer.rcode) or str(answer.rcode),
        "{>rflags}": ",".join(name for bit, name in FLAGS if flags & bit),
        "{rsize}": str(size),
        "{duration}": f"{seconds:.9f}s",
    }
    return _PLACE.sub(lambda match: values.get(match[0], match[0]), format)


def _wrong(prop: Directive, unknown: list[str]) -> CorefileError:
    if prop.name != "class":
        return prop.error(f"plugin/log: unknown property '{prop.name}'")
    return prop.error(f"plugin/log: invalid Class: {unknown[0]}") if unknown else prop.wrong_arguments()


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    names, format = list(directive.arguments), COMMON
    if names and "{" in names[-1]:
        format = names.pop()
        for name, text in FORMATS.items():
            format = format.replace(name, text)
    classes: set[str] = set()
    for prop in directive.properties:
        unknown = [c for c in prop.arguments if c not in CLASS_NAMES]
        if prop.name != "class" or not prop.arguments or unknown:
            raise _wrong(prop, unknown)
        classes.update(prop.arguments)
    zones = [zone for name in names for zone in normalized(name)] or ["."]
    return Log(zones, format, frozenset(classes or {"all"}))
