"""Which lists and watches are understood, and what a watch that begins with all there is tells (WatchList, KEP-3157)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pybernetes.apiserver import query
from pybernetes.apiserver.endpoints import negotiate
from pybernetes.client.http import HTTPClient
from pybernetes.wire.http import Request

from . import customresources
from .golden import server

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
INITIAL = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
END = {"k8s.io/initial-events-end": "true"}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
MATCH = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden"


async def asked(
    http: HTTPClient, query: str, accept: str = "application/json", path: str = CONFIGMAPS
) -> tuple[int, list[Any]]:
    """The answer's lines: of a watch, its events."""
    answer = await http.request("GET", f"{path}?{query}", [("Accept", accept)])
    return answer.status, [json.loads(line) for line in answer.body.splitlines()]


async def watched(http: HTTPClient, query: str, accept: str = "application/json", path: str = CONFIGMAPS) -> list[Any]:
    """Events in a second's time that end with no bookmark of their own, so that all of them are of the beginning."""
    status, events = await asked(http, f"watch=1&timeoutSeconds=1&{query}", accept, path)
    assert status == 200
    return events


async def two_configmaps(http: HTTPClient) -> str:
    """Makes a (labels x=1) and b; their resource version."""
    version = ""
    for name, labels in (("a", {"x": "1"}), ("b", {})):
        body = json.dumps({"metadata": {"name": name, "labels": labels}}).encode()
        answer = await http.request("POST", CONFIGMAPS, [("Content-Type", "application/json")], body)
        version = json.loads(answer.body)["metadata"]["resourceVersion"]
    return version


REFUSED: list[tuple[str, list[str]]] = [
    ("resourceVersionMatch=Exact", [f"{MATCH} unless resourceVersion is provided"]),
    (
        "resourceVersionMatch=Exact&continue=x",
        [f"{MATCH} unless resourceVersion is provided", f"{MATCH} when continue is provided"],
    ),
    (
        "resourceVersionMatch=Exact&resourceVersion=0&sendInitialEvents=1",
        [
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ],
    ),
    (
        "watch=1&sendInitialEvents=false",
        ["resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"],
    ),
    ("watch=1&resourceVersionMatch=NotOlderThan", [f"{MATCH} for watch unless sendInitialEvents is provided"]),
    (
        "watch=1&resourceVersionMatch=Exact",
        [
            f"{MATCH} for watch unless sendInitialEvents is provided",
            'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"',
        ],
    ),
    (f"watch=1&{INITIAL}&continue=x", [f"{MATCH} when continue is provided"]),
]


def test_what_is_refused() -> None:
    async def case() -> None:
        async with server() as http:
            for query, problems in REFUSED:
                listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                for verb in ("GET", "DELETE") if "watch" not in query else ("GET",):
                    answer = await http.request(verb, f"{CONFIGMAPS}?{query}")
                    assert answer.status == 422
                    assert json.loads(answer.body)["message"] == f'ListOptions.meta.k8s.io "" is invalid: {listed}'

    asyncio.run(case())


def test_initial_events_and_their_end() -> None:
    """All there is, then a bookmark; without bookmarks allowed there is none; without initial events it begins now."""

    async def case() -> None:
        async with server() as http:
            version = await two_configmaps(http)
            ending, later = f"{INITIAL}&allowWatchBookmarks=true", INITIAL.replace("true", "false")
            since = ("", "&resourceVersion=0", f"&resourceVersion={version}", "&resourceVersion=1")
            queries = [
                *(f"{ending}{revision}" for revision in since),
                INITIAL,
                f"{ending}&labelSelector=x%3D2",
                later,
                f"{later}&resourceVersion=0",
                f"{later}&resourceVersion={int(version) - 1}",
            ]
            *ended, plain, empty, now, whenever, before = await asyncio.gather(*(watched(http, q) for q in queries))
            for events in ended:
                assert [e["type"] for e in events] == ["ADDED", "ADDED", "BOOKMARK", "BOOKMARK"]
                assert events[2]["object"]["metadata"]["annotations"] == END
                assert int(events[2]["object"]["metadata"]["resourceVersion"]) >= int(version)
                assert "annotations" not in events[3]["object"]["metadata"], "of the time that is up"
            assert [e["type"] for e in plain] == ["ADDED", "ADDED"]
            assert [e["object"]["metadata"].get("annotations") for e in empty] == [END, None]
            assert now == whenever == []
            assert [e["type"] for e in before] == ["ADDED"]

    asyncio.run(case())


def test_what_is_still_to_come_ends_the_watch_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybernetes.apiserver.generic.reading.READ_SECONDS", 0.01)

    async def case() -> None:
        async with server() as http:
            [event] = await watched(http, f"{INITIAL}&allowWatchBookmarks=true&resourceVersion=1000000")
            assert (event["type"], event["object"]["code"]) == ("ERROR", 504)
            assert event["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"

    asyncio.run(case())


def test_the_end_in_tables() -> None:
    """It is the metadata of a row's object, whatever is included; the first event has the columns, be it the end."""

    async def case() -> None:
        async with server() as http:
            await two_configmaps(http)
            queries = [f"{INITIAL}&allowWatchBookmarks=true&includeObject={i}" for i in ("None", "Metadata", "Object")]
            queries.append(f"{queries[0]}&labelSelector=x%3D2")
            *all_of_it, empty = await asyncio.gather(*(watched(http, query, TABLE) for query in queries))
            for events, included in zip(all_of_it, (False, True, True), strict=True):
                tables = [event["object"] for event in events]
                assert [bool(t["columnDefinitions"]) for t in tables] == [True, False, False, False]
                assert tables[2]["rows"][0]["cells"] == ["", 0, "<unknown>"]
                assert tables[2]["rows"][0]["object"]["metadata"]["annotations"] == END
                assert (tables[3]["rows"][0]["object"] is not None) is included  # RawExtension knows no omitempty
            assert [bool(event["object"]["columnDefinitions"]) for event in empty] == [True, False]

    asyncio.run(case())


def test_custom_resources() -> None:
    async def case() -> None:
        async with server() as http:
            body = json.dumps(customresources.definition()).encode()
            await http.request("POST", customresources.DEFINITIONS, [("Content-Type", "application/json")], body)
            while (await http.request("GET", customresources.THINGS)).status != 200:
                await asyncio.sleep(0)
            ending = f"{INITIAL}&allowWatchBookmarks=true"
            forms = ("application/json", PARTIAL, TABLE)
            for events in await asyncio.gather(
                *(watched(http, ending, form, customresources.THINGS) for form in forms)
            ):
                objects = [event["object"] for event in events]
                objects = [one["rows"][0]["object"] if one["kind"] == "Table" else one for one in objects]
                assert [one["metadata"].get("annotations") for one in objects] == [END, None]

    asyncio.run(case())


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("application/json;stream=watch", "application/json"),
        ("application/json;stream=other,application/yaml", "application/yaml"),
        ("application/json;g=meta.k8s.io,application/yaml", "application/yaml"),
        ("application/json;sv=v2,application/yaml", "application/yaml"),
        ("application/yaml;stream=watch,*/*", "application/json"),
        ("application/json;q=0.5,application/yaml;q=0.9", "application/yaml"),
    ],
)
def test_clauses_that_name_more_than_a_media_type(accept: str, answered: str) -> None:
    request = Request("GET", b"/", b"", (("accept", accept),))
    assert negotiate.accepted(request, query.parse(b"")).media == answered


def test_a_list_of_whatever_revision_is_whole() -> None:
    """A limit does not count at resource version 0, as the watch cache has all of it."""

    async def case() -> None:
        async with server() as http:
            await two_configmaps(http)
            for query, count in (("limit=1", 1), ("limit=1&resourceVersion=0", 2)):
                _, [listed] = await asked(http, query)
                assert (len(listed["items"]), "continue" in listed["metadata"]) == (count, count == 1)

    asyncio.run(case())
