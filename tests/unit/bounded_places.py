"""Every place where a client's bytes meet a loop in a loop, a search or a recursion, with the input that would make it dear.

A place that is new belongs here: what it is called, what of so many parts it is given, and what is done with that.
"""

import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pybernetes.api import cron, durations, errors, field, goregexp, patch, protobuf
from pybernetes.api.errors import StatusError
from pybernetes.api.fieldselectors import parse_field_selector
from pybernetes.api.labels import SelectorError, parse_selector, selector_from_dict
from pybernetes.api.names import dns1123_subdomain_errors, label_key_errors, label_value_errors
from pybernetes.api.quantity import Quantity, QuantityError
from pybernetes.api.strategicpatch import FieldMerge, FieldTable, strategic_merge_patch
from pybernetes.apiserver import pieces
from pybernetes.apiserver.authentication import bearer, configuration, impersonation
from pybernetes.apiserver.authentication.bearer import TokenError
from pybernetes.apiserver.authentication.oidc import idtoken
from pybernetes.apiserver.authentication.oidc.users import user_of
from pybernetes.apiserver.authentication.serviceaccount import peek
from pybernetes.apiserver.authorization import escalation
from pybernetes.apiserver.authorization.rules import compact
from pybernetes.apiserver.crd import formats, jsonpath
from pybernetes.apiserver.crd.values import Rules
from pybernetes.apiserver.endpoints import gorestful, negotiate, warningheader, yamlreader
from pybernetes.apiserver.filters import exchange
from pybernetes.apiserver.kinds.certificates import pem
from pybernetes.apiserver.kinds.core import volumes
from pybernetes.apiserver.query import Query
from pybernetes.cel.claims import unescaped
from pybernetes.dns import corefile, gotemplate, responses, zonefile
from pybernetes.dns import wire as dns_wire
from pybernetes.dns.wire import WireError
from pybernetes.dns.zone import Zone
from pybernetes.dns.zonefile import ZoneFileError
from pybernetes.kubelet.machine import config
from pybernetes.metricsserver import points
from pybernetes.metricsserver.points import Malformed
from pybernetes.wire.http import Request

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    given: Callable[[int], Any]
    work: Callable[[Any], object]
    refuses: tuple[type[Exception], ...] = ()
    exact: bool = False  # it asks for the very types of JSON, so that strings that count are none
    scale: int = 1  # where the work is bounded, and its growth is judged beyond the bound


def request(headers: Headers = (), query: bytes = b"") -> Request:
    return Request("GET", b"/api/v1/pods", query, headers)


def many_records(count: int) -> bytes:
    """Each points to the longest name there is."""
    head = bytes((0, 0, 0, 0, 0, 1, 0, 0, 0, 0, count >> 8, count & 255))
    return head + b"\1a" * 120 + b"\0\0\1\0\1" + (b"\xc0\x0c\0\1\0\1" + bytes(6)) * count


def zone_text(text: str) -> None:
    Zone("x.", zonefile.parse("@ SOA a b 1 2 3 4 5\n" + text, "x.", Path("db"))[0]).lookup("nobody.x.", 1)


def aliases(records: list[dns_wire.Record]) -> bool:
    return responses.answers(records, "0.", 1)


MAPPINGS = {"username": {"claim": "sub", "prefix": ""}, "groups": {"expression": "claims.groups.map(g, 'x:' + g)"}}
MAPPED = configuration.check(
    {"jwt": [{"issuer": {"url": "https://i", "audiences": ["a"]}, "claimMappings": MAPPINGS}]}
).jwt[0]


def of_kubelet(text: str) -> None:
    points.decode(text, "node", 0)


def strangers(claims: dict[str, Any]) -> None:
    """Of a token that is for others."""
    idtoken.check(claims, ["b"], datetime(2030, 1, 1, tzinfo=UTC))


def matching(text: str) -> object:
    selector = parse_selector(text)
    return [selector.matches({"k1": "x", "a": str(number)}) for number in range(20)]


def matching_fields(text: str) -> object:
    selector = parse_field_selector(text)
    return [selector.matches({"metadata.name": str(number)}) for number in range(20)]


def in_pieces(body: bytes) -> object:
    return pieces.Reader(None, None).read(body, Any)


def selector_object(count: int) -> Any:
    return {"matchExpressions": [{"key": "a", "operator": "In", "values": [f"v{n}" for n in range(count)]}]}


ITEMS = FieldTable({"items": FieldMerge(FieldTable(), "merge", "name"), "names": FieldMerge(None, "merge")})


def strategic(pair: Any) -> object:
    return strategic_merge_patch(*pair, ITEMS)


def named(count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"name": f"n{number}"} for number in range(first, first + count)]


def names(count: int) -> list[str]:
    return [f"n{number}" for number in range(count)]


def reversed_names(count: int) -> list[str]:
    return names(count)[::-1]


def roles(count: int) -> tuple[list[Any], list[Any]]:
    each = [{"apiGroups": [name], "resources": [name], "verbs": [name]} for name in names(count)]
    return each, [{"apiGroups": names(count), "resources": names(10), "verbs": ["get", "n1"]}]


def merges(count: int) -> bytes:
    chain = "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}\n" for n in range(1, count))
    return f"a0: &a0 {{x: 1}}\n{chain}".encode()


def laughs(count: int) -> bytes:
    return ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, count))).encode()


def deep(levels: int) -> Any:
    value: Any = "a"
    for _ in range(min(levels, 150)):
        value = {"a": value, "b": "c"}
    return value


def deep_path(levels: int) -> str:
    path = field.Path("spec")
    for number in range(levels):
        path = path / "long-name" / number
    return path.text


def siblings_below_a_long_key(count: int) -> object:
    above = field.Path("spec").key("k" * 100_000)
    return [field.required(above / number / "name") for number in range(count)]


def custom(schema: Any) -> Callable[[Any], object]:
    return Rules(schema).check


TEXTS = {"type": "array", "items": {"type": "string", "pattern": "^(a|aa)+$"}}

PLACES = (
    # What a request says before its body.
    Place("label selector: blanks", lambda n: "a" + " " * n * 10, matching),
    Place("label selector: blanks between", lambda n: "a" + " ,a" * n, matching, (SelectorError,)),
    Place("label selector: values", lambda n: f"a in ({','.join(names(n))})", matching),
    Place("label selector: terms of many keys", lambda n: ",".join(f"k{i}!=v" for i in range(n)), matching),
    Place("label selector: terms of one key", lambda n: ",".join(f"k1!=v{i}" for i in range(n)), matching),
    Place("label selector: commas", lambda n: f"a in ({',' * n})", matching, (SelectorError,)),
    Place("label selector: parentheses", lambda n: "a in " + "(" * n, matching, (SelectorError,)),
    Place("label selector: objects", selector_object, selector_from_dict),
    Place("field selector: terms", lambda n: "metadata.name!=a," * n, matching_fields),
    Place("field selector: values", lambda n: ",".join(f"metadata.name!=v{i}" for i in range(n)), matching_fields),
    Place("field selector: escapes", lambda n: "metadata.name=" + "\\," * n, matching_fields),
    Place("query", lambda n: request(query=b"labelSelector=" + b"%20" * n), exchange.describe),
    Place("query: names", lambda n: request(query=b"&".join(b"a%d=1" % i for i in range(n))), exchange.describe),
    Place("path", lambda n: Request("GET", b"/api" + b"/a" * n, b"", ()), exchange.describe),
    Place(
        "Accept: clauses",
        lambda n: request((("accept", "a/b," * n),)),
        lambda r: negotiate.accepted(r, Query()),
        (StatusError,),
    ),
    Place(
        "Accept: parameters",
        lambda n: request((("accept", "a/b" + ";a=b" * n),)),
        lambda r: negotiate.accepted(r, Query()),
        (StatusError,),
    ),
    Place(
        "Accept: media types of a route",
        lambda n: request((("accept", "a/b ; c," * n),)),
        lambda r: gorestful.check(r, negotiate.SUPPORTED),
        (StatusError,),
    ),
    Place(
        "Content-Type: parameters",
        lambda n: request((("content-type", "application/json" + ' ; a="\\b"' * n),)),
        negotiate.content_type,
    ),
    Place(
        "Content-Type: no parameters",
        lambda n: request((("content-type", "application/json" + " " * n + ';a="' + "\\" * n),)),
        negotiate.content_type,
    ),
    Place(
        "impersonation",
        lambda n: tuple((f"impersonate-extra-a{i}", "b") for i in range(n)),
        impersonation.requested,
        (StatusError,),
    ),
    Place(
        "impersonation: groups",
        lambda n: (("impersonate-user", "a"), *[("impersonate-group", "b")] * n),
        impersonation.requested,
    ),
    Place(
        "WebSocket protocols",
        lambda n: request(
            (("upgrade", "websocket"), ("connection", "a," * n + "upgrade"), ("sec-websocket-protocol", "a," * n))
        ),
        bearer.bearer_token,
    ),
    Place("body in pieces: lists", lambda n: b'{"a":[' + b"[1]," * n + b"0]}", in_pieces, scale=100),
    Place("body in pieces: maps", lambda n: json.dumps({f"k{i}": i for i in range(n)}).encode(), in_pieces, scale=100),
    Place("body in pieces: no place to cut", lambda n: b'{"a":["' + b"],[" * n + b'"]}', in_pieces, scale=100),
    Place("object in pieces", lambda n: {"a": [{"b": [1] * 9}] * n}, lambda obj: list(pieces.encode(obj))),
    Place("format: email", lambda n: "a " * n, formats.CHECKS["email"]),
    Place("format: hostname", lambda n: "a-" * n, formats.CHECKS["hostname"]),
    Place("token: depth", lambda n: f"a.{base64.urlsafe_b64encode(b'[' * n).decode()}.a", peek),
    Place("token: dots", lambda n: "a." * n, peek),
    Place(
        "ID token: depth", lambda n: f"e30.{base64.urlsafe_b64encode(b'[' * n).decode().rstrip('=')}.e30", idtoken.read
    ),
    Place("ID token: dots", lambda n: "a." * n, idtoken.read),
    Place("ID token: audiences", lambda n: {"aud": names(n)}, strangers, (TokenError,)),
    Place("ID token: escapes", lambda n: "__dot__" * n, unescaped),
    Place(
        "ID token: groups",
        lambda n: {"sub": "s", "groups": names(n)},
        lambda claims: user_of(MAPPED, claims),
        exact=True,
    ),
    # References of a pod's variables and commands.
    Place("expansion: open", lambda n: "$(" * n, lambda text: config.expand(text, {})),
    Place("expansion: nested", lambda n: "$(a" * n + ")", lambda text: config.expand(text, {"a": "b"})),
    # What a kubelet says of its node.
    Place(
        "metrics: labels",
        lambda n: "container_cpu_usage_seconds_total{" + " " * 20 * n + "} 1",
        of_kubelet,
        (Malformed,),
    ),
    Place(
        "metrics: no label",
        lambda n: "container_cpu_usage_seconds_total{" + "a" * 20 * n + "} 1",
        of_kubelet,
        (Malformed,),
    ),
    Place("metrics: ends", lambda n: "node_cpu_usage_seconds_total{" + "} " * n, of_kubelet, (Malformed,)),
    # Bodies.
    Place("YAML: merges of merges", merges, yamlreader.read, (yamlreader.Excessive,), scale=10),
    Place("YAML: aliases of aliases", laughs, yamlreader.read, (yamlreader.Excessive, RecursionError)),
    Place("YAML: lines", lambda n: b"a:\n" + b"- b\n" * n, yamlreader.read),
    Place("YAML: depth", lambda n: b"[" * n, yamlreader.read, (yaml.YAMLError, RecursionError)),
    Place(
        "protobuf: depth", lambda n: b"k8s\x00" + b"\x12\x7f" * n, protobuf.decode, (protobuf.ProtobufError, ValueError)
    ),
    Place(
        "JSON patch: operations",
        lambda n: [{"op": "add", "path": f"/a{i}", "value": 1} for i in range(n)],
        lambda ops: patch.json_patch({}, ops),
    ),
    Place(
        "JSON patch: pointer",
        lambda n: [{"op": "add", "path": "/a" * n, "value": 1}],
        lambda ops: patch.json_patch({}, ops),
        (patch.PatchError,),
    ),
    Place(
        "JSON patch: copies of copies",
        lambda n: [{"op": "copy", "from": "", "path": "/a"}] * n,
        lambda ops: patch.json_patch({"b": 1}, ops),
        (patch.PatchError, RecursionError),
    ),
    Place(
        "strategic: order of names",
        lambda n: ({"names": names(n)}, {"$setElementOrder/names": reversed_names(n), "names": []}),
        strategic,
    ),
    Place(
        "strategic: order of objects",
        lambda n: ({"items": named(n)}, {"$setElementOrder/items": named(2 * n)[::-1], "items": named(n, n)[::-1]}),
        strategic,
    ),
    Place("strategic: objects by key", lambda n: ({"items": named(n)}, {"items": named(n, n // 2)}), strategic),
    Place(
        "strategic: keys that are kept",
        lambda n: ({}, {"$retainKeys": names(n), **dict.fromkeys(names(n), 1)}),
        strategic,
    ),
    Place(
        "strategic: keys that are not",
        lambda n: (dict.fromkeys(names(n), 1), {"$retainKeys": reversed_names(n)}),
        strategic,
    ),
    Place(
        "strategic: deletions", lambda n: ({"names": names(n)}, {"$deleteFromPrimitiveList/names": names(n)}), strategic
    ),
    # What is in objects.
    Place(
        "field path",
        lambda n: {"apiVersion": "v1", "fieldPath": "['" * n},
        lambda ref: volumes.field_ref(field.Path(), ref, ()),
    ),
    Place(
        "field path: keys",
        lambda n: {"apiVersion": "v1", "fieldPath": "metadata.labels['" + "['" * n + "']"},
        lambda ref: volumes.field_ref(field.Path(), ref, ()),
    ),
    Place(
        "PEM: beginnings",
        lambda n: base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----\n" * n).decode(),
        pem.request_error,
    ),
    Place(
        "PEM: beginnings of one end",
        lambda n: base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" * n + b"-----END CERTIFICATE-----").decode(),
        pem.certificates_error,
    ),
    Place(
        "PEM: ends",
        lambda n: base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" + b"-----END A-----\n" * n).decode(),
        pem.certificates_error,
    ),
    Place("quantity: digits", lambda n: "1" * n * 10, Quantity.parse, (QuantityError,)),
    Place("quantity: exponent", lambda n: f"1e{n * 10_000_000}", Quantity.parse, (QuantityError,)),
    Place("quantity: fraction", lambda n: "0." + "0" * n * 10 + "1", Quantity.parse, (QuantityError,)),
    Place("duration", lambda n: "1h" * n, durations.parse_duration, (ValueError,)),
    Place("schedule: parts", lambda n: ",".join(["1"] * n) + " * * * *", cron.parse, (ValueError,)),
    Place("schedule: ranges", lambda n: ",".join(["0-59"] * n) + " * * * *", cron.parse, (ValueError,)),
    Place("names: dots", lambda n: "a." * n, dns1123_subdomain_errors),
    Place("names: slashes", lambda n: "a/" * n, label_key_errors),
    Place("names: end", lambda n: "a-" * n + "!", label_value_errors),
    Place("paths", lambda n: n, deep_path),
    Place("paths: below a long key", lambda n: n, siblings_below_a_long_key),
    Place(
        "refusals",
        lambda n: [field.required(field.Path("a") / i) for i in range(n)],
        lambda found: errors.invalid("", "A", "a", found),
    ),
    Place("warnings", lambda n: [f"warning {i}" for i in range(n)], warningheader.headers),
    Place("rights", roles, lambda both: compact(escalation.missing(*both))),
    Place("patterns: reading", lambda n: "(a|b[[:" * n, goregexp.check, (goregexp.RegexpError,)),
    # Custom resources.
    Place("JSON path: all below", lambda n: deep(n // 10), jsonpath.compiled("..a..a..a"), scale=10),
    Place("JSON path: reading", lambda n: ".a" * n + "[?(" + "@ " * n, jsonpath.compiled, (jsonpath.JSONPathError,)),
    Place("values: lists", lambda n: ["a" * 50] * n, custom(TEXTS), exact=True),
    Place("values: wrong ones", lambda n: [1] * n, custom(TEXTS), exact=True),
    # Cluster DNS: of clients, of resolvers, and of users who may write Corefiles and zones.
    Place("dns: records of a query", many_records, dns_wire.decode_query, (WireError,)),
    Place("dns: records of a reply", lambda n: b"\0\0\x80" + many_records(n)[3:], dns_wire.decode_reply, (WireError,)),
    Place("dns: options", lambda n: b"\0\x0a\0\0" * n, dns_wire.read_options),
    Place("dns: aliases", lambda n: [dns_wire.name_record(f"{i}.", 5, f"{i + 1}.", 1) for i in range(n)], aliases),
    Place("dns: a zone's words", lambda n: "a TXT ( " + "x\n" * n, zone_text, (ZoneFileError,)),
    Place("dns: a zone's names", lambda n: "".join(f"{i}.a.b.c A 1.2.3.4\n" for i in range(n)), zone_text),
    Place("dns: one name's records", lambda n: "".join(f"a TXT {i}\n" for i in range(n)), zone_text),
    Place("dns: templates", lambda n: "{{" + "{{ .A " * n, gotemplate.parse, (gotemplate.TemplateError,)),
    Place("dns: templates' words", lambda n: "{{ print " + "( .A " * n, gotemplate.parse, (gotemplate.TemplateError,)),
    Place("dns: a Corefile's words", lambda n: ". {\n" + " a b {\n c\n }\n" * n + "}", corefile.parse),
    Place("dns: quotes", lambda n: '. {\n a "' + 'x\\"' * n, corefile.parse, (corefile.CorefileError,)),
)


def do(place: Place, given: Any) -> None:
    """What is refused is done with, too."""
    with contextlib.suppress(*place.refuses):
        place.work(given)


def size(given: Any) -> int:
    """Bytes of what a client sends, about."""
    return len(json.dumps(given, default=repr))
