"""Pods learn of an authority that is replaced, without a restart of who tells them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers.certificates.rootcacertpublisher.controller import RootCACertPublisher
from pybernetes.controllers.framework import Context
from pybernetes.controllers.options import Options


def test_the_file_is_followed(tmp_path: Path) -> None:
    async def main() -> None:
        file, client, clock = tmp_path / "ca.crt", MemoryClient(), VirtualClock()
        file.write_text("old")
        namespace = core.Namespace(metadata=meta.ObjectMeta(name="n"), status=core.NamespaceStatus(phase="Active"))
        await client.create(namespace)
        options = Options(root_ca=b"old", root_ca_file=str(file))
        controller = RootCACertPublisher(
            Context(client, MemoryInformers(client), EventBroadcaster(client, clock), clock, options)
        )
        task = asyncio.create_task(controller.run())

        async def published() -> str:
            for _ in range(30):
                await clock.advance(1)
            return (await client.get(core.ConfigMap, "kube-root-ca.crt", "n")).data["ca.crt"]

        assert await published() == "old"
        for content in ("old and new", "new"):
            file.with_name("next").write_text(content)
            file.with_name("next").replace(file)
            assert await published() == content
        file.unlink()
        assert await published() == "new"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 20))
