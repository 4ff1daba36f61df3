"""Parameters that are given twice, without a value, or broken, over HTTP: Go takes the first value of an option, and all of a list."""

from __future__ import annotations

from typing import Any

import pytest

from .test_services import Client, play

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
DRY_RUN = 'dryRun: Unsupported value: ["Foo","All"]: supported values: "All"'


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


@pytest.mark.parametrize("twice", ["dryRun=Foo&dryRun=All", "dryRun=All&dryRun=Foo", "dryRun=&dryRun=All", "dryRun"])
def test_every_dry_run_is_judged(twice: str) -> None:
    """Of all verbs: lists have no last word."""

    async def case(client: Client) -> None:
        assert (await client.send("POST", CONFIG_MAPS, config_map("a")))[0] == 201
        for method, path, kind in (
            ("POST", CONFIG_MAPS, "CreateOptions"),
            ("PUT", f"{CONFIG_MAPS}/a", "UpdateOptions"),
            ("PATCH", f"{CONFIG_MAPS}/a", "PatchOptions"),
            ("DELETE", f"{CONFIG_MAPS}/a", "DeleteOptions"),
            ("DELETE", CONFIG_MAPS, "DeleteOptions"),
        ):
            body = None if method == "DELETE" else config_map("a")
            code, answer = await client.send(method, f"{path}?{twice}", body, *([MERGE] if method == "PATCH" else []))
            assert (code, answer["details"]["kind"]) == (422, kind)
            assert answer["details"]["causes"][0]["field"] == "dryRun"
            if twice.startswith("dryRun=Foo"):
                assert answer["message"].endswith(DRY_RUN)
        code, _ = await client.send("DELETE", f"{CONFIG_MAPS}/a?dryRun=All&dryRun=All")
        assert code == 200
        assert await client.names(CONFIG_MAPS) >= {"a"}

    play(case)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("labelSelector=a%3D1&labelSelector=a%3D2", {"a"}),
        ("fieldSelector=metadata.name%3Db&fieldSelector=metadata.name%3Da", {"b"}),
        ("labelSelector=%zz&labelSelector=a%3D2", {"b"}),
        ("labelSelector=a%3D1;&labelSelector=a%3D2", {"b"}),
        ("watch=false&watch=true&labelSelector=a", {"a", "b"}),
        ("watch=0&labelSelector=a", {"a", "b"}),
    ],
)
def test_options_have_one_value(query: str, names: set[str]) -> None:
    async def case(client: Client) -> None:
        for name, value in (("a", "1"), ("b", "2")):
            await client.send("POST", CONFIG_MAPS, {"metadata": {"name": name, "labels": {"a": value}}})
        assert await client.names(f"{CONFIG_MAPS}?{query}") == names

    play(case)


@pytest.mark.parametrize("query", ["limit=", "limit", "timeoutSeconds="])
def test_a_number_without_digits_is_none(query: str) -> None:
    async def case(client: Client) -> None:
        code, answer = await client.send("GET", f"{CONFIG_MAPS}?{query}")
        assert (code, answer["message"]) == (400, 'strconv.ParseInt: parsing "": invalid syntax')

    play(case)


@pytest.mark.parametrize(
    ("query", "code", "left"),
    [
        ("orphanDependents=1", 200, False),
        ("orphanDependents", 200, False),
        ("propagationPolicy=", 422, True),
        ("propagationPolicy=Orphan&orphanDependents=0", 422, True),
        ("gracePeriodSeconds=", 400, True),
        ("gracePeriodSeconds=0&gracePeriodSeconds=x", 200, False),
        ("uid=other", 409, True),
        ("resourceVersion=1", 409, True),
    ],
)
def test_options_of_a_deletion_in_the_query(query: str, code: int, left: bool) -> None:
    """Preconditions too are read from it, where there is no body (upstream: Convert_url_Values_To_v1_DeleteOptions)."""

    async def case(client: Client) -> None:
        await client.send("POST", CONFIG_MAPS, config_map("a"))
        assert (await client.send("DELETE", f"{CONFIG_MAPS}/a?{query}"))[0] == code
        assert ("a" in await client.names(CONFIG_MAPS)) is left or "orphan" in query

    play(case)


def test_a_watch_is_asked_for_by_its_name_alone() -> None:
    async def case(client: Client) -> None:
        code, made = await client.send("POST", CONFIG_MAPS, config_map("a"))
        assert code == 201
        version = int(made["metadata"]["resourceVersion"]) - 1
        text = await client.text(f"{CONFIG_MAPS}?watch&resourceVersion={version}&timeoutSeconds=1")
        assert '"ADDED"' in text

    play(case)
