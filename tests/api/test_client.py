"""The REST client on a real API server keeps the rules of all clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.apiserver.server import APIServer
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.client.types import Client
from pybernetes.store.sqlite import SQLiteStore
from tests.clientrules import RULES

from .golden import options


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules(rule: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        store = await SQLiteStore.open(":memory:")
        server = APIServer(store, options())
        await server.start()
        client = RESTClient(Config(f"http://127.0.0.1:{server.port}"))
        try:
            await rule(client)
        finally:
            await client.close()
            await server.stop(0)
            await store.close()

    asyncio.run(main())
