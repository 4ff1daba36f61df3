"""Which lists and watches are understood, and what a watch that begins with all there is tells (WatchList, KEP-3157)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pybernetes.client.http import HTTPClient

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


@pytest.mark.parametrize(
    ("query", "problems"),
    [
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
            [
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            ],
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
    ],
)
def test_what_is_refused(query: str, problems: list[str]) -> None:
    async def case() -> None:
        async with server() as http:
            for verb in ("GET", "DELETE") if "watch" not in query else ("GET",):
                answer = await http.request(verb, f"{CONFIGMAPS}?{query}")
                listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                assert answer.status == 422
                assert json.loads(answer.body)["message"] == f'ListOptions.meta.k8s.io "" is invalid: {listed}'

    asyncio.run(case())


def test_initial_events_and_their_end() -> None:
    """All there is, then a bookmark; without bookmarks allowed there is none; without initial events it begins now."""

    async def case() -> None:
        async with server() as http:
            version = await two_configmaps(http)
            bookmarks = "allowWatchBookmarks=true"
            for since in ("", "&resourceVersion=0", f"&resourceVersion={version}", "&resourceVersion=1"):
                events = await watched(http, f"{INITIAL}&{bookmarks}{since}")
                assert [e["type"] for e in events] == ["ADDED", "ADDED", "BOOKMARK", "BOOKMARK"], since
                assert events[2]["object"]["metadata"]["annotations"] == END
                assert int(events[2]["object"]["metadata"]["resourceVersion"]) >= int(version)
                assert "annotations" not in events[3]["object"]["metadata"], "of the time that is up"
            assert [e["type"] for e in await watched(http, INITIAL)] == ["ADDED", "ADDED"]
            none = await watched(http, f"{INITIAL}&{bookmarks}&labelSelector=x%3D2")
            assert [e["object"]["metadata"].get("annotations") for e in none] == [END, None]
            later = INITIAL.replace("true", "false")
            for since in ("", "&resourceVersion=0"):
                assert await watched(http, f"{later}{since}") == [], since
            first = int(version) - 1
            assert [e["type"] for e in await watched(http, f"{later}&resourceVersion={first}")] == ["ADDED"]

    asyncio.run(case())


def test_what_is_still_to_come_ends_the_watch_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybernetes.apiserver.generic.reading.READ_SECONDS", 0.01)

    async def case() -> None:
        async with server() as http:
            [event] = await watched(http, f"{INITIAL}&allowWatchBookmarks=true&resourceVersion=1000000")
            assert (event["type"], event["object"]["code"]) == ("ERROR", 504)
            assert event["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"

    asyncio.run(case())


@pytest.mark.parametrize("include", ["", "None", "Metadata", "Object"])
def test_the_end_in_tables(include: str) -> None:
    """It is the metadata of a row's object, whatever is included; the first event has the columns, be it the end."""

    async def case() -> None:
        async with server() as http:
            await two_configmaps(http)
            query = f"{INITIAL}&allowWatchBookmarks=true&includeObject={include}"
            tables = [e["object"] for e in await watched(http, query, TABLE)]
            assert [bool(t["columnDefinitions"]) for t in tables] == [True, False, False, False]
            assert tables[2]["rows"][0]["cells"] == ["", 0, "<unknown>"]
            assert tables[2]["rows"][0]["object"]["metadata"]["annotations"] == END
            assert ("object" in tables[3]["rows"][0]) is (include != "None")
            tables = [e["object"] for e in await watched(http, f"{query}&labelSelector=x%3D2", TABLE)]
            assert [bool(t["columnDefinitions"]) for t in tables] == [True, False]

    asyncio.run(case())


@pytest.mark.parametrize("accept", ["application/json", TABLE, PARTIAL])
def test_custom_resources(accept: str) -> None:
    async def case() -> None:
        async with server() as http:
            body = json.dumps(customresources.definition()).encode()
            await http.request("POST", customresources.DEFINITIONS, [("Content-Type", "application/json")], body)
            while (await http.request("GET", customresources.THINGS)).status != 200:
                await asyncio.sleep(0)
            query = f"{INITIAL}&allowWatchBookmarks=true"
            events = await watched(http, query, accept, customresources.THINGS)
            objects = [e["object"]["rows"][0]["object"] if accept == TABLE else e["object"] for e in events]
            assert [o["metadata"].get("annotations") for o in objects] == [END, None]

    asyncio.run(case())


def test_a_list_of_whatever_revision_is_whole() -> None:
    """A limit does not count at resource version 0, as the watch cache has all of it."""

    async def case() -> None:
        async with server() as http:
            await two_configmaps(http)
            for query, count in (("limit=1", 1), ("limit=1&resourceVersion=0", 2)):
                _, [listed] = await asked(http, query)
                assert (len(listed["items"]), "continue" in listed["metadata"]) == (count, count == 1)

    asyncio.run(case())
