"""EDNS0 rules of rewrite: options that are added to queries, replaced or taken away (upstream: plugin/rewrite/edns0.go). Pure."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

from .rewriting import Rewritten, RuleError, Turn
from .wire import ECHOED, MAX_UDP_BYTES, NSID, SUBNET, Answer, EdnsOptions, Query

ACTIONS = ("append", "replace", "set", "unset")
VARIABLES = ("{qname}", "{qtype}", "{client_ip}", "{server_ip}", "{client_port}", "{server_port}", "{protocol}")

Data = Callable[[Query], bytes]


def edns_rule(words: Sequence[str]) -> Callable[[Query], Rewritten | None]:
    """local|nsid|subnet append|replace|set|unset ... [revert]. RuleError."""
    if len(words) < 2:
        raise RuleError("too few arguments for an EDNS0 rule")
    kind, action = words[0].lower(), words[1].lower()
    if action not in ACTIONS:
        raise RuleError(f'invalid action: "{action}"')
    if kind not in ("local", "nsid", "subnet"):
        raise RuleError(f'invalid rule type "{kind}"')
    rest, revert = list(words[2:]), False
    if action == "unset":
        if len(rest) != (1 if kind == "local" else 0):
            count = "two arguments" if kind == "local" else "one argument"
            raise RuleError(f"{kind} unset action requires exactly {count}")
    elif rest and rest[-1] == "revert":
        revert = True
        rest.pop()
    code, data = _option(kind, action, rest)
    return lambda query: _apply(query, action, code, data, revert)


def _option(kind: str, action: str, words: Sequence[str]) -> tuple[int, Data]:
    """The option's code, and what it says. RuleError."""
    if kind == "nsid":
        if words:
            raise RuleError("EDNS0 NSID rules can accept no more than one arg")
        return NSID, lambda query: b""
    if kind == "local" and action == "unset":
        return _integer(words[0]), lambda query: b""
    if kind == "subnet" and action == "unset":
        return SUBNET, lambda query: b""
    if len(words) != 2:
        raise RuleError(f"EDNS0 {kind} rules require three or four args")
    if kind == "subnet":
        return SUBNET, _subnet(_integer(words[0]), _integer(words[1]))
    return _integer(words[0]), _local(words[1])


def _integer(text: str) -> int:
    """As Go's ParseUint with base 0."""
    try:
        value = int(text, 0) if text[:1].isdigit() and len(text) < 20 else -1
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFF:
        reason = "value out of range" if value > 0xFFFF else "invalid syntax"
        raise RuleError(f'strconv.ParseUint: parsing "{text}": {reason}')
    return value


def _local(text: str) -> Data:
    if text.startswith("{") and text.endswith("}"):
        if text not in VARIABLES:
            raise RuleError(f'unsupported variable name "{text}"')
        return lambda query: variable(query, text)
    if text.startswith("0x"):
        try:
            data = bytes.fromhex(text[2:])
        except ValueError:
            raise RuleError(f"encoding/hex: invalid byte in {text!r}") from None
    else:
        data = text.encode()
    if len(data) > MAX_UDP_BYTES // 2:
        raise RuleError(f"data of {len(data)} bytes would fill the query")
    return lambda query: data


def variable(query: Query, name: str) -> bytes:
    """What a place such as {client_ip} stands for."""
    if name == "{qname}":
        return query.name.encode()
    if name == "{qtype}":
        return struct.pack("!H", query.type)
    if name == "{protocol}":
        return query.protocol.encode()
    if name == "{client_ip}":
        return ipaddress.ip_address(query.client[0].partition("%")[0]).packed
    if name == "{server_ip}":
        return query.local[0]
    return struct.pack("!H", query.client[1] if name == "{client_port}" else query.local[1])


def _subnet(bits4: int, bits6: int) -> Data:
    if bits4 > 32:
        raise RuleError(f"invalid IPv4 bit mask length {bits4}")
    if bits6 > 128:
        raise RuleError(f"invalid IPv6 bit mask length {bits6}")

    def data(query: Query) -> bytes:
        address = ipaddress.ip_address(query.client[0].partition("%")[0])
        family, bits = (1, bits4) if address.version == 4 else (2, bits6)
        network = ipaddress.ip_network((address, bits), strict=False)
        return struct.pack("!HBB", family, bits, 0) + network.network_address.packed[: -(-bits // 8)]

    return data


def _apply(query: Query, action: str, code: int, data: Data, revert: bool) -> Rewritten | None:
    present = any(each == code for each, _ in query.options)
    if action == "unset":
        options = tuple(option for option in query.options if option[0] != code)
    elif present and action in ("replace", "set"):
        value = data(query)
        options = tuple((each, value if each == code else old) for each, old in query.options)
    elif action in ("append", "set"):
        options = (*query.options, (code, data(query)))
    else:
        return None
    changed = replace(query, options=options)
    if not changed.edns:
        changed.edns, changed.size = True, max(query.size, MAX_UDP_BYTES)
    return Rewritten(changed, [_echo(query.options, options, code, revert)])


def _echo(before: EdnsOptions, after: EdnsOptions, code: int, revert: bool) -> Turn:
    """The option is one that is sent back, as it was asked for or, unless that is turned back, as the rule has it."""
    original = next((option for option in before if option[0] == code), None)

    def turn(answer: Answer) -> Answer:
        options = answer.options
        if options is None:
            options = tuple(option for option in after if option[0] in ECHOED or option[0] == code)
        if revert:
            kept = [option for option in options if option[0] != code]
            options = (*kept, original) if original is not None else tuple(kept)
        return replace(answer, options=options)

    return turn
