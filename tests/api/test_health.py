"""/healthz, /livez, /readyz and /metrics of a running server."""

import asyncio

import msgspec

from .golden import server


def test_health_and_metrics() -> None:
    async def main() -> None:
        async with server() as client:
            cases = {
                "/readyz": "ok",
                "/healthz/ping": "ok",
                "/readyz/poststarthook/rbac/bootstrap-roles": "ok",
                "/livez/informer-sync": "404 page not found\n",
            }
            for path, text in cases.items():
                assert (await client.request("GET", path)).body.decode() == text
            lines = (await client.request("GET", "/readyz?verbose&exclude=etcd&exclude=x")).body.decode().split("\n")
            assert lines[0] == "[+]ping ok"
            assert "[+]etcd excluded: ok" in lines
            assert 'warn: some health checks cannot be excluded: no matches for "x"' in lines
            assert lines[-2:] == ["readyz check passed", ""]
            metrics = (await client.request("GET", "/metrics")).body.decode()
            assert 'apiserver_storage_objects{resource="namespaces"} 4' in metrics
            assert (await client.request("POST", "/metrics")).status == 405

    asyncio.run(main())


def test_a_continue_token_that_is_too_old_gives_another() -> None:
    async def main() -> None:
        async with server() as client:
            target = "/api/v1/namespaces/default/configmaps"
            for name in "abcd":
                await client.request("POST", target, body=b'{"metadata":{"name":"%b"}}' % name.encode())
            first = msgspec.json.decode((await client.request("GET", f"{target}?limit=1")).body)
            await client.request("DELETE", f"{target}/b")
            page = await client.request("GET", f"{target}?limit=1&continue={first['metadata']['continue']}")
            again = msgspec.json.decode(page.body)
            assert [item["metadata"]["name"] for item in again["items"]] == ["b"]  # as it was

    asyncio.run(main())
