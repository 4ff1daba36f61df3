"""Controllers and an API server in one process: what no recorded case shows."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

from pybernetes.client.http import HTTPClient

from .control import controlled
from .controloptions import options

MANY = 2**31 - 1
PATIENCE = 60.0  # seconds
# All that read jobs, stateful sets or their pods by number.
OF_JOBS = (
    *("serviceaccount", "job", "cronjob", "statefulset", "disruption", "ttl-after-finished", "podgc"),
    *("resourcequota", "endpointslice", "taint-eviction-controller", "garbagecollector"),
)
TEMPLATE = {
    "metadata": {"labels": {"app": "w"}},
    "spec": {
        "automountServiceAccountToken": False,
        "schedulerName": "none",
        "restartPolicy": "Always",
        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "<&>é"}]}],
    },
}
PODS = "/api/v1/namespaces/default/pods"
APPS = "/apis/apps/v1/namespaces/default"


async def post(client: HTTPClient, path: str, body: Any) -> None:
    answer = await client.request("POST", path, [("Content-Type", "application/json")], json.dumps(body).encode())
    assert answer.status == 201, answer.body


async def get(client: HTTPClient, path: str) -> bytes:
    answer = await client.request("GET", path)
    assert answer.status == 200, answer.body
    return answer.body


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + PATIENCE
    while not await done():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.05)


def workload(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "w"}}, "template": TEMPLATE, **spec},
    }


def test_workloads_of_two_thousand_million_cost_what_is_there() -> None:
    """A list of the indexes would be gigabytes; here are a few pods of each, and the manager goes on working."""
    job_template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
    job = {"completionMode": "Indexed", "completions": MANY, "parallelism": 2, "template": job_template}

    async def run() -> None:
        async with controlled(options=options(OF_JOBS)) as client:
            tracemalloc.start()
            try:
                jobs = "/apis/batch/v1/namespaces/default/jobs"
                await post(client, jobs, {"metadata": {"name": "job"}, "spec": job})
                await post(client, f"{APPS}/statefulsets", workload("set", serviceName="s", replicas=MANY))

                async def there() -> bool:
                    items = json.loads(await get(client, PODS))["items"]
                    names = sorted(item["metadata"]["name"] for item in items)
                    return [name[:6] for name in names] == ["job-0-", "job-1-", "set-0"]

                await until(there)
                body = json.dumps({"status": {"completedIndexes": "2-2147483646", "succeeded": MANY - 2}}).encode()
                merge = [("Content-Type", "application/merge-patch+json")]
                assert (await client.request("PATCH", f"{jobs}/job/status", merge, body)).status == 200
                for name in [item["metadata"]["name"] for item in json.loads(await get(client, PODS))["items"]]:
                    done = json.dumps({"status": {"phase": "Succeeded"}}).encode()
                    assert (await client.request("PATCH", f"{PODS}/{name}/status", merge, done)).status == 200

                async def complete() -> bool:
                    status = json.loads(await get(client, f"{jobs}/job"))["status"]
                    return bool(status.get("completionTime")) and status["completedIndexes"] == "0-2147483646"

                await until(complete)
                assert tracemalloc.get_traced_memory()[1] < 100_000_000
            finally:
                tracemalloc.stop()

    asyncio.run(run())


def test_revisions_are_served_with_the_bytes_that_upstream_compares() -> None:
    async def run() -> None:
        async with controlled(options=options(["daemonset", "statefulset"])) as client:
            for kind in ("daemonsets", "statefulsets"):
                await post(
                    client, f"{APPS}/{kind}", workload("w", serviceName="w") if kind[0] == "s" else workload("w")
                )

            async def two() -> bool:
                return len(json.loads(await get(client, f"{APPS}/controllerrevisions"))["items"]) == 2

            await until(two)
            body = await get(client, f"{APPS}/controllerrevisions")
            for revision in json.loads(body)["items"]:
                text = json.dumps(revision["data"], separators=(",", ":"), ensure_ascii=False, sort_keys=True)
                go = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
                assert go.encode() in body and "\\u003c\\u0026\\u003eé" in go

    asyncio.run(run())
