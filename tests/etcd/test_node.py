"""A node leaves a cluster that works: its pods as a budget allows, its member of etcd, its Node."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import policy_v1 as policy
from pybernetes.deploy.etcd import asking
from pybernetes.store.backends import Location
from pybernetes.testing.cluster import TestCluster

from ..api.test_deployed import command
from ..api.test_deployed import not_its_own as not_its_own
from ..api.test_rotate_ca import refused
from . import server
from .server import etcd

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
LABELS = {"app": "a"}


def deployment() -> apps.Deployment:
    template = core.PodTemplateSpec(
        metadata=meta.ObjectMeta(labels=LABELS), spec=core.PodSpec(containers=[core.Container(name="c", image="i")])
    )
    spec = apps.DeploymentSpec(replicas=4, selector=meta.LabelSelector(match_labels=LABELS), template=template)
    return apps.Deployment(metadata=meta.ObjectMeta(name="a", namespace="default"), spec=spec)


def budget() -> policy.PodDisruptionBudget:
    spec = policy.PodDisruptionBudgetSpec(min_available=3, selector=meta.LabelSelector(match_labels=LABELS))
    return policy.PodDisruptionBudget(metadata=meta.ObjectMeta(name="a", namespace="default"), spec=spec)


def test_a_master_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybernetes.deploy.drain.RETRY_SECONDS", 0.3)
    monkeypatch.setattr("pybernetes.deploy.drain.POLL_SECONDS", 0.1)

    async def main() -> None:
        cluster = TestCluster(tmp_path, hollow_nodes=2, controllers="all", scheduler=True)
        async with etcd(tmp_path, 3) as members:
            running = await cluster.start()
            client = cluster.client("admin")
            try:
                await client.create(budget())
                await client.create(deployment())
                lowest = 4

                async def ready() -> int:
                    pods = (await client.list(core.Pod, "default")).items
                    return sum(c.type == "Ready" and c.status == "True" for pod in pods for c in pod.status.conditions)

                while await ready() < 4:
                    await asyncio.sleep(0.05)
                name = (await client.list(core.Node)).items[0].metadata.name
                labels = {"node-role.kubernetes.io/control-plane": ""}
                await client.patch(core.Node, name, "", {"metadata": {"labels": labels}})
                address = [{"type": "InternalIP", "address": "127.0.0.1"}]
                await client.patch(core.Node, name, "", {"status": {"addresses": address}}, subresource="status")
                urls = ",".join(member.url for member in members)
                words = ("node", "remove", name, f"--kubeconfig={running.kubeconfig}", f"--endpoints={urls}")
                await members[2].stop()
                assert "are well and 2 are needed" in await refused(*words)
                assert not (await client.get(core.Node, name)).spec.unschedulable  # nothing was begun
                await members[2].start()
                where = Location((members[2].url,))
                while (await asking.ask(where, members[2].url)).problem:
                    await asyncio.sleep(0.05)
                said = asyncio.create_task(command(*words, "--timeout=180s"))
                while not said.done():
                    lowest = min(lowest, await ready())
                    await asyncio.sleep(0.02)
                text = await said
                assert lowest >= 3, text
                assert f"node/{name} drained" in text and "removed, 2 stay" in text
                with pytest.raises(StatusError, match="not found"):
                    await client.get(core.Node, name)
                while await ready() < 4:
                    await asyncio.sleep(0.05)
                assert len(await asking.members(where)) == 2
            finally:
                await client.close()
                await cluster.stop()

    asyncio.run(asyncio.wait_for(main(), 300))
