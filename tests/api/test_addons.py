"""Add-ons of clusters of several hosts at an API server: they come, they go, and what others have put there stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from pybernetes.api.mediatypes import APPLY_PATCH
from pybernetes.api.types import apps_v1 as apps
from pybernetes.cluster.apply import apply, is_ours, remove
from pybernetes.cluster.assembly.addons import AddOn, further
from pybernetes.deploy.daemons.model import AddOns
from pybernetes.testing import TestCluster

ALL = further(AddOns(metrics_server=True, local_path=True, load_balancer=True, ingress=True))
PATH = "/apis/apps/v1/namespaces/kube-system/daemonsets"


def test_they_come_and_go(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = TestCluster(tmp_path, controllers=())
        await cluster.start()
        client = cluster.client("admin")
        try:
            for one in ALL:
                assert not await is_ours(client, one.workload), one.name
                await apply(client, one.manifests)
                await apply(client, one.manifests)
                assert await is_ours(client, one.workload), one.name
                await remove(client, one.manifests)
                assert not await is_ours(client, one.workload), one.name
        finally:
            await cluster.stop()

    asyncio.run(main())


@pytest.mark.parametrize("one", [one for one in ALL if one.name == "ingress"])
def test_somebody_elses_of_the_same_name_is_not_ours(one: AddOn, tmp_path: Path) -> None:
    async def main() -> None:
        cluster = TestCluster(tmp_path, controllers=())
        await cluster.start()
        client = cluster.client("admin")
        try:
            body, headers = msgspec.json.encode(one.workload), {"Content-Type": APPLY_PATCH}
            target = f"{PATH}/{one.workload['metadata']['name']}?fieldManager=helm"
            await client.raw("PATCH", target, body, headers)
            assert (await client.get(apps.DaemonSet, "nginx-ingress-controller", "kube-system")).metadata.uid
            assert not await is_ours(client, one.workload)
        finally:
            await cluster.stop()

    asyncio.run(main())
