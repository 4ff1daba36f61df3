"""The command kube-controller-manager: election, ports, rights."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1, authentication_v1, batch_v1, coordination_v1, core_v1, meta_v1, rbac_v1
from pybernetes.cli import controllermanager, testserver
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.component import clientflags, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.testing import cluster
from pybernetes.testing.cluster import RunningCluster

from ..ports import free_port

SECONDS = 60.0
LABELS = {"app": "web"}


def least_privilege(running: RunningCluster, folder: Path) -> str:
    """A kubeconfig of system:kube-controller-manager, which has what the bootstrap roles give it and no more."""
    content = yaml.safe_load(Path(running.kubeconfig).read_text())
    content["users"][0]["user"] |= {"as": "system:kube-controller-manager", "as-groups": ["system:authenticated"]}
    path = folder / "controller-manager.kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def values(*arguments: str) -> dict[str, Any]:
    """The parsed command line."""
    return flags.parse(controllermanager.PROGRAM, controllermanager.FLAGS, arguments)


async def until(check: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
    """What the check gives as soon as it is as wanted."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                found = await check()
            except (StatusError, ConnectionError):
                found = None
            if found is not None and wanted(found):
                return found
            await asyncio.sleep(0.05)


def deployment() -> apps_v1.Deployment:
    """Two pods."""
    containers = [core_v1.Container(name="c", image="i")]
    template = core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=dict(LABELS)), spec=core_v1.PodSpec(containers=containers)
    )
    return apps_v1.Deployment(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default"),
        spec=apps_v1.DeploymentSpec(
            replicas=2, selector=meta_v1.LabelSelector(match_labels=dict(LABELS)), template=template
        ),
    )


def job() -> batch_v1.Job:
    """One pod."""
    spec = core_v1.PodSpec(containers=[core_v1.Container(name="c", image="i")], restart_policy="Never")
    return batch_v1.Job(
        metadata=meta_v1.ObjectMeta(name="task", namespace="default"),
        spec=batch_v1.JobSpec(template=core_v1.PodTemplateSpec(spec=spec)),
    )


def test_it_works_with_the_rights_of_the_bootstrap_roles(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each controller with its own account: as in upstream, the part's own rights are not enough for their work."""

    async def main(running: RunningCluster) -> None:
        port, plain = free_port(), free_port()
        given = values(
            f"--kubeconfig={least_privilege(running, tmp_path)}",
            f"--secure-port={port}",
            f"--port={plain}",
            "--bind-address=127.0.0.1",
            "--use-service-account-credentials",
        )
        task = asyncio.ensure_future(controllermanager.run(given))
        client = RESTClient(load(running.kubeconfig))
        try:
            await client.create(deployment())
            await client.create(job())
            pods = await until(lambda: client.list(core_v1.Pod, "default"), lambda found: len(found.items) == 3)
            assert {p.metadata.owner_references[0].kind for p in pods.items} == {"ReplicaSet", "Job"}
            await until(lambda: client.get(apps_v1.Deployment, "web", "default"), lambda d: d.status.replicas == 2)
            lease = await client.get(coordination_v1.Lease, "kube-controller-manager", "kube-system")
            assert lease.spec.holder_identity
            told = await client.list(core_v1.Event, "kube-system", field_selector="reason=LeaderElection")
            assert [event.message for event in told.items] == [f"{lease.spec.holder_identity} became leader"]
            await check_ports(client, port, plain)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            lease = await client.get(coordination_v1.Lease, "kube-controller-manager", "kube-system")
            assert not lease.spec.holder_identity  # given back
            await client.close()

    with cluster() as running:
        asyncio.run(main(running))
    assert [record.getMessage() for record in caplog.records if "forbidden" in record.getMessage()] == []


async def check_ports(client: RESTClient, port: int, plain: int) -> None:
    """Health for everyone, metrics for those who may."""
    open_port = HTTPClient(f"http://127.0.0.1:{plain}")
    answer = await open_port.request("GET", "/healthz?verbose", [])
    assert (answer.status, b"[+]leaderElection ok" in answer.body) == (200, True)
    text = (await open_port.request("GET", "/metrics", [])).body.decode()
    for line in (
        'leader_election_master_status{name="kube-controller-manager"} 1',
        'workqueue_adds_total{name="deployment"}',
        'rest_client_requests_total{code="201",method="POST"',
    ):
        assert line in text
    await open_port.close()

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    secure = HTTPClient(f"https://127.0.0.1:{port}", context)
    assert (await secure.request("GET", "/healthz", [])).status == 200
    assert (await secure.request("GET", "/metrics", [])).status == 401
    token = await client.create_subresource(
        core_v1.ServiceAccount,
        "default",
        "default",
        "token",
        authentication_v1.TokenRequest(),
        authentication_v1.TokenRequest,
    )
    bearer = [("Authorization", f"Bearer {token.status.token}")]
    assert (await secure.request("GET", "/metrics", bearer)).status == 403
    await client.create(
        rbac_v1.ClusterRole(
            metadata=meta_v1.ObjectMeta(name="metrics"),
            rules=[rbac_v1.PolicyRule(verbs=["post"], non_resource_urls=["/metrics"])],
        )
    )
    await client.create(
        rbac_v1.ClusterRoleBinding(
            metadata=meta_v1.ObjectMeta(name="metrics"),
            role_ref=rbac_v1.RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="metrics"),
            subjects=[rbac_v1.Subject(kind="ServiceAccount", name="default", namespace="default")],
        )
    )
    assert (await until(lambda: secure.request("POST", "/metrics", bearer), lambda a: a.status != 403)).status == 200
    await secure.close()


def test_a_lost_lease_ends_it(tmp_path: Path) -> None:
    async def main(running: RunningCluster) -> None:
        given = values(
            f"--kubeconfig={running.kubeconfig}",
            "--secure-port=0",
            "--controllers=deployment",
            "--leader-elect-lease-duration=2s",
            "--leader-elect-renew-deadline=300ms",
            "--leader-elect-retry-period=100ms",
        )
        client = RESTClient(load(running.kubeconfig))
        task = asyncio.ensure_future(controllermanager.run(given))

        async def steal() -> bool:
            lease = await client.get(coordination_v1.Lease, "kube-controller-manager", "kube-system")
            lease.spec.holder_identity = "thief"
            await client.update(lease)
            return True

        await until(steal)
        with pytest.raises(Failure, match="leaderelection lost"):
            async with asyncio.timeout(SECONDS):
                await task
        await client.close()

    with cluster() as running:
        asyncio.run(main(running))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--controllers=foo"], '--controllers: "foo" is not in the list of known controllers'),
        (["--kubeconfig=/does/not/exist"], "does not exist"),
        (["--root-ca-file=/does/not/exist"], "--root-ca-file=/does/not/exist: No such file or directory"),
        (["--leader-elect-resource-lock=endpoints"], "only leases are there"),
    ],
)
def test_bad_command_lines(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asyncio.run(controllermanager.run(values(*arguments)))


def test_options_have_upstreams_flags() -> None:
    given = values(
        "--cluster-cidr=10.244.0.0/16",
        "--allocate-node-cidrs",
        "--concurrent-deployment-syncs=9",
        "--node-monitor-grace-period=40s",
        "--node-eviction-rate=0.5",
        "--controllers=*,-job",
        "--controllers=tokencleaner",
        "--profiling=false",  # the flags of kubeadm's manifest and of older guides are taken
        "--cloud-provider=",
        "--feature-gates=A=true",
        "--requestheader-client-ca-file=/x",
    )
    options = controllermanager.options_from(given)
    assert (options.cluster_cidr, options.allocate_node_cidrs) == ("10.244.0.0/16", True)
    assert (options.concurrent_deployment_syncs, options.node_monitor_grace_period) == (9, 40.0)
    assert (options.node_eviction_rate, options.controllers) == (0.5, ("*", "-job", "tokencleaner"))


def test_controllers_in_a_test_cluster() -> None:
    async def main(running: RunningCluster) -> None:
        client = RESTClient(load(running.kubeconfig))
        await client.create(deployment())
        await until(lambda: client.list(core_v1.Pod, "default"), lambda found: len(found.items) == 2)
        await client.close()

    with cluster(controllers=["deployment", "replicaset"]) as running:
        asyncio.run(main(running))


def test_the_test_servers_controllers(capsys: pytest.CaptureFixture[str]) -> None:
    assert testserver.main(["--controllers=all,foo"]) == 2
    assert "not in the list of known controllers" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["kubeconfig", "authentication-kubeconfig"])
def test_an_address_is_enough(flag: str) -> None:
    assert clientflags.config(values("--master=http://127.0.0.1:1"), flag).server == "http://127.0.0.1:1"
