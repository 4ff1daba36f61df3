"""Requests at random over the paths that the server publishes: valid objects, damaged ones, and nonsense. Pure but for its dice.

python -m tests.api.fuzzing 25000 [seed]     # the statuses, what failed, the slowest
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from pybernetes.api import protobuf, protobufencode

from .golden import MEDIA
from .seeds import NAMESPACE, Seed

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
NAMES = ("a", "b", "run", "web", "default", NAMESPACE, "kube-system")
ODD_NAMES = ("%2e%2e", "a%2Fb", "%ff", "%00", "A_B", "x" * 300, "%F0%9F%98%80", "a:b", "-", "%25", "a;b", "*")
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63) - 1, 1.5, 2.0, 1e308, "", "a", "A b", "1", "-1", "1Gi"),
    *("x" * 300, "\x00", "\ud800", "\ufffe", "😀", "../..", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "NaN"),
    *(
        [],
        {},
        [None],
        [[]],
        {"": ""},
        {"a": None},
        [{}],
        ["a", "a"],
        {"a": {"a": {}}},
        "(",
        "a" * 64,
        "127.0.0.1",
        "::",
    ),
)
TEXTS = (
    *(b"", b"null", b"[]", b"1", b'"x"', b"{", b"}", b"\xff", b"{}", b'{"a":NaN}', b'{"a":1,"a":2}', b"\xef\xbb\xbf{}"),
    *(b'{"kind":5}', b'{"metadata":5}', b'{"metadata":{"name":null}}', b'{"spec":[]}', b'{"apiVersion":"v1"}', b"[1]"),
    *(
        b"[" * 5000,
        b'{"a":' * 5000,
        b'{"a":' * 400 + b"1" + b"}" * 400,
        b'{"metadata":{"annotations":{' + b'"a":"",' * 9000,
    ),
    *(b"k8s\x00", b"k8s\x00\xff\xff\xff\xff\xff\xff", b"a: &a [*a]", b"? [1]\n: 2", b"a: !!python/object:os.system x"),
    *(b'{"spec":{"replicas":1e400}}', b'{"data":{"a":"\\ud800"}}', b"- " * 2000, b"a: .nan", b"\x00"),
)
QUERIES = (
    *(
        "limit=-1",
        "limit=x",
        "limit=1",
        "limit=99999999999999999999",
        "continue=x",
        "continue=e30",
        "resourceVersion=-1",
    ),
    *(
        "resourceVersion=x",
        "resourceVersion=1",
        "resourceVersion=0",
        "resourceVersion=\u00b2",
        "resourceVersionMatch=Exact",
    ),
    *(
        "labelSelector=a%3Db",
        "labelSelector=%00",
        "labelSelector=a%20in%20(b,c)",
        "labelSelector=!a",
        "labelSelector=(((",
    ),
    *("fieldSelector=metadata.name%3Da", "fieldSelector=x", "fieldSelector=a%3Db,c!%3Dd", "fieldSelector=%5C"),
    *(
        "dryRun=All",
        "dryRun=x",
        "dryRun=All&dryRun=All",
        "fieldValidation=Strict",
        "fieldValidation=x",
        "fieldManager=%01",
    ),
    *(
        "fieldManager=m",
        "force=true",
        "force=x",
        "pretty=true",
        "pretty=%FF",
        "gracePeriodSeconds=0",
        "gracePeriodSeconds=x",
    ),
    *(
        "propagationPolicy=Orphan",
        "propagationPolicy=x",
        "orphanDependents=true",
        "timeout=1s",
        "timeout=x",
        "=",
        "&&",
        "%",
    ),
    *("includeObject=Object", "includeObject=x", "sendInitialEvents=true", "allowWatchBookmarks=x", "timeoutSeconds=x"),
    *(
        "watch=1&timeoutSeconds=x",
        "watch=1&resourceVersion=x",
        "watch=false&limit=1",
        "limit=1&resourceVersion=1&continue=x",
    ),
)
ACCEPTS = (
    *(JSON, "*/*", YAML, "", ";", ",,", "text/html", PROTOBUF, MEDIA["table"], MEDIA["partial"], MEDIA["partiallist"]),
    *(
        "application/json;as=Table;v=v9;g=meta.k8s.io",
        "application/*",
        "application/json;q=0",
        "application/json;stream=watch",
    ),
)
CONTENT_TYPES = (JSON, YAML, PROTOBUF, "text/nonsense", "", "application/json; charset=utf-8", "application/cbor")
PATCHES = (MEDIA["merge"], MEDIA["strategic"], MEDIA["jsonpatch"], MEDIA["apply"])
PATH_TRICKS = ("//", "/..", "/.", "/%2e%2e", "/%", "?", "/x/y/z", "/status", "/scale", "/nonsense", "%00", "#")
# What leads to other servers, or is answered only when time is up.
ELSEWHERE = ("/proxy", "/exec", "/attach", "/portforward", "/log", "/watch/")


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Fuzzer:
    """Makes requests; the same of the same seed. `paths` are the OpenAPI document's: path -> methods."""

    def __init__(self, seed: int, paths: dict[str, Sequence[str]], objects: Sequence[Seed]) -> None:
        self._dice = random.Random(seed)
        self._paths = [path for path in sorted(paths) if not any(word in path for word in ELSEWHERE)]
        self._objects = objects
        self._by_path: dict[str, list[Seed]] = {}
        for one in objects:
            self._by_path.setdefault(one.path, []).append(one)

    def next(self) -> Sent:
        """Any request."""
        dice = self._dice
        kind = dice.random()
        if kind < 0.3:
            return self._create()
        if kind < 0.6:
            return self._change()
        return self._anything()

    def _create(self) -> Sent:
        """A valid object, or one with a few fields changed, in any form."""
        one = self._dice.choice(self._objects)
        body, media = self._form(self._damaged(one.body))
        query = "dryRun=All" if one.dry else self._query()
        return Sent("POST", f"{one.path}?{query}", (("Content-Type", media), self._accept()), body)

    def _change(self) -> Sent:
        """A change to an object that may be there."""
        dice, one = self._dice, self._dice.choice(self._objects)
        name = (one.body.get("metadata") or {}).get("name") or dice.choice(NAMES)
        part = dice.choice(("", "", "", "/status", "/scale"))
        target = f"{one.path}/{quote(str(name))}{part}"
        query = "dryRun=All" if one.dry else self._query()
        method = dice.choice(("PUT", "PATCH", "PATCH", "GET", "DELETE"))
        if method == "DELETE" and one.path == "/api/v1/namespaces":
            method = "GET"
        if method == "PUT":
            body, media = self._form(self._damaged(one.body))
        elif method == "PATCH":
            media = dice.choice(PATCHES)
            body = self._patch(media, one.body)
        elif method == "DELETE":
            media, body = JSON, self._delete_options()
        else:
            return Sent(method, f"{target}?{query}", (self._accept(),))
        return Sent(method, f"{target}?{query}", (("Content-Type", media), self._accept()), body)

    def _anything(self) -> Sent:
        """Any published path with any method, query and body."""
        dice = self._dice
        target = dice.choice(self._paths)
        target = target.replace("{namespace}", NAMESPACE if dice.random() < 0.9 else dice.choice(ODD_NAMES))
        while "{" in target:
            name = dice.choice(ODD_NAMES if dice.random() < 0.3 else NAMES)
            target = target[: target.index("{")] + name + target[target.index("}") + 1 :]
        if dice.random() < 0.05:
            target += dice.choice(PATH_TRICKS)
        method = dice.choice(("GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"))
        if method == "DELETE" and target.startswith("/api/v1/namespaces") and target.count("/") <= 4:
            method = "GET"
        media = dice.choice(PATCHES) if method == "PATCH" else dice.choice(CONTENT_TYPES)
        body = b"" if method in ("GET", "HEAD") else dice.choice(TEXTS)
        return Sent(method, f"{target}?{self._query()}", (("Content-Type", media), self._accept()), body)

    def _value(self) -> Any:
        return copy.deepcopy(self._dice.choice(VALUES))

    def _query(self) -> str:
        return "&".join(self._dice.sample(QUERIES, self._dice.choice((0, 0, 0, 1, 2))))

    def _accept(self) -> tuple[str, str]:
        return "Accept", self._dice.choice(ACCEPTS) if self._dice.random() < 0.3 else JSON

    def _damaged(self, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(json.dumps(body))
        for _ in range(self._dice.choice((0, 1, 1, 2, 5))):
            inside = places(made)
            if not inside:
                break
            holder, key = self._dice.choice(inside)
            turn = self._dice.random()
            if turn < 0.2:
                del holder[key]
            elif turn < 0.3 and isinstance(holder, dict):
                holder[self._dice.choice(("x", "", "name", "spec", "$patch", "a/b"))] = self._value()
            else:
                holder[key] = self._value()
        return made

    def _form(self, obj: dict[str, Any]) -> tuple[bytes, str]:
        """(body, content type), now and then cut or with wrong bytes."""
        turn = self._dice.random()
        if turn < 0.7:
            body, media = json.dumps(obj, ensure_ascii=self._dice.random() < 0.5).encode("utf-8", "surrogatepass"), JSON
        elif turn < 0.85:
            body, media = yaml.safe_dump(obj, allow_unicode=False).encode("utf-8", "replace"), YAML
        else:
            try:
                body, media = protobufencode.encode(obj), PROTOBUF
            except (protobuf.ProtobufError, ValueError, AttributeError, TypeError):
                body, media = protobuf.MAGIC + self._dice.randbytes(30), PROTOBUF
        if body and self._dice.random() < 0.15:
            place = self._dice.randrange(len(body))
            cut = (body[:place], body[:place] + self._dice.randbytes(3) + body[place + 1 :], body + body[place:])
            body = self._dice.choice(cut)
        return body, media

    def _patch(self, media: str, obj: dict[str, Any]) -> bytes:
        if self._dice.random() < 0.2:
            return self._dice.choice(TEXTS)
        if media == MEDIA["jsonpatch"]:
            return json.dumps([self._operation(obj) for _ in range(self._dice.choice((0, 1, 1, 3)))]).encode()
        made = self._damaged(obj)
        if media == MEDIA["strategic"] and self._dice.random() < 0.3:
            directive = ("$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers")
            holder = self._dice.choice(places(made) or [(made, "")])[0]
            if isinstance(holder, dict):
                value = self._dice.choice(
                    ("delete", "replace", "merge", "x", 1, ["a"], [{}], [{"name": "a"}], {}, None)
                )
                holder[self._dice.choice(directive)] = value
        return json.dumps(made).encode()

    def _operation(self, obj: dict[str, Any]) -> Any:
        pointers = ["", "/", "/a", "/metadata/labels/x", "/spec/-", "/spec/containers/0", "/~2", "a", "/metadata/name"]
        pointers += [f"/{name}" for name in obj]
        op = self._dice.choice(("add", "remove", "replace", "move", "copy", "test", "x", 5))
        made = {"op": op, "path": self._dice.choice(pointers), "value": self._dice.choice(VALUES)}
        if op in ("move", "copy"):
            made["from"] = self._dice.choice(pointers)
        if self._dice.random() < 0.1:
            made.pop(self._dice.choice(list(made)))
        return made

    def _delete_options(self) -> bytes:
        if self._dice.random() < 0.4:
            return self._dice.choice((b"", b"{}", *TEXTS))
        names = ("gracePeriodSeconds", "preconditions", "propagationPolicy", "orphanDependents", "dryRun", "kind", "x")
        return json.dumps({self._dice.choice(names): self._dice.choice(VALUES) for _ in range(2)}).encode()


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of everything inside."""
    found: list[tuple[Any, Any]] = []
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found
