"""What the server takes it gives back, and takes again: one field at a time of each kind's valid object is changed.

The answer is 2xx or 4xx. What was accepted is read, put back as it was read, and nothing changes by that: not the object, not
its resource version. MUTATIONS=20000 tries as many (.ci/run does).
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
from typing import Any
from urllib.parse import quote

from pybernetes.client.http import HTTPClient

from .fuzz import VALUES, places
from .fuzzing import DEFINITION, THING
from .golden import server
from .seeds import NAMESPACE, Seed, fullest

MUTATIONS = int(os.environ.get("MUTATIONS", "1500"))
JSON = [("Content-Type", "application/json"), ("Accept", "application/json"), ("User-Agent", "mutations")]
TRIES = 10
LIVE = ("customresourcedefinitions",)  # whose status the server itself writes meanwhile


def mutated(seed: Seed, dice: random.Random) -> dict[str, Any]:
    """The object with one field changed, or gone."""
    made = copy.deepcopy(seed.body)
    inside = [(holder, key) for holder, key in places(made) if key not in ("kind", "apiVersion")]
    holder, key = dice.choice(inside)
    if dice.random() < 0.1:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(dice.choice(VALUES))
    return made


async def broken(count: int, seed: int) -> list[str]:
    """What went wrong, in words."""
    found: list[str] = []
    async with server() as client:
        for path, body in (
            ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
            (f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}}),
            ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION),
        ):
            assert (await client.request("POST", path, JSON, json.dumps(body).encode(), timeout=20)).status == 201
        while (await client.request("GET", THING.path, JSON, timeout=20)).status != 200:
            await asyncio.sleep(0.05)
        objects = [one for one in (*fullest(), THING) if not one.dry and one.path != "/api/v1/namespaces"]
        dice = random.Random(seed)
        for number in range(count):
            one = objects[number % len(objects)]
            body = mutated(one, dice)
            if problem := await tried(client, one.path, body):
                found.append(f"{one.path} {json.dumps(body)[:600]}: {problem}")
    return found


def different(one: Any, other: Any, path: str = "") -> list[str]:
    """What two JSON values do not have in common."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [text for key in keys for text in different(one.get(key), other.get(key), f"{path}.{key}")]
    return [] if one == other else [f"{path}: {one!r}, {other!r}"[:300]]


async def tried(client: HTTPClient, path: str, body: dict[str, Any]) -> str:
    """ "" where all is well."""
    sent = json.dumps(body).encode("utf-8", "surrogatepass")
    posted = await client.request("POST", path, JSON, sent, timeout=20)
    if not 200 <= posted.status < 500 and b'"reason"' in posted.body:  # without one it is upstream's own
        return f"{posted.status} {posted.body[:300]!r}"
    name = json.loads(posted.body).get("metadata", {}).get("name", "") if posted.status == 201 else ""
    if not name:  # refused, or of a kind that is not kept: reviews, bindings
        return ""
    target, live = f"{path}/{quote(name)}", any(word in path for word in LIVE)
    try:
        read = await client.request("GET", target, JSON, timeout=20)
        if not live and (differs := different(json.loads(posted.body), json.loads(read.body))):
            return f"made, and read: {differs}"
        put = await client.request("PUT", target, JSON, read.body, timeout=20)
        for _ in range(TRIES if live else 0):  # its controller may have written meanwhile
            if put.status != 409:
                break
            read = await client.request("GET", target, JSON, timeout=20)
            put = await client.request("PUT", target, JSON, read.body, timeout=20)
        if put.status != 200:
            return f"put back: {put.status} {put.body[:300]!r}"
        if not live and (differs := different(json.loads(read.body), json.loads(put.body))):
            return f"read, and put back: {differs}"
    finally:
        await client.request("DELETE", f"{target}?gracePeriodSeconds=0", JSON, timeout=20)
        finalizers = b'{"metadata":{"finalizers":null}}'
        merge = [("Content-Type", "application/merge-patch+json")]
        await client.request("PATCH", target, merge, finalizers, timeout=20)
    return ""


def test_what_is_accepted_is_given_back_and_accepted_again() -> None:
    assert asyncio.run(broken(MUTATIONS, 1)) == []
