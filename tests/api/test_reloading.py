"""Each part with each kind of credentials in its kubeconfig, which end after seconds and are replaced in their files: none is restarted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pybernetes.aio.clock import RealClock
from pybernetes.api.errors import StatusError
from pybernetes.api.times import parse_rfc3339
from pybernetes.api.types import certificates_v1, coordination_v1, core_v1, meta_v1, rbac_v1
from pybernetes.api.wellknown import KUBE_API_SERVER_CLIENT_SIGNER
from pybernetes.cli import controllermanager, kubelet, scheduler
from pybernetes.client.rest import RESTClient
from pybernetes.component import flags
from pybernetes.kubelet.certificate.plan import Template
from pybernetes.kubelet.certificate.signing import issue
from pybernetes.kubelet.options import FLAGS as KUBELET_FLAGS
from pybernetes.pki import keys
from pybernetes.pki.certificates import Subject
from pybernetes.pki.files import write
from pybernetes.testing.cluster import RunningCluster, TestCluster

from .test_tls_bootstrap import token_secret

LIFE_SECONDS = 4.0  # of each certificate and token
RENEW_SECONDS = 1.2  # after which there is another
QUIET_SECONDS = 3.0  # in which a part that could would have renewed its lease, and run a pod
PATIENCE = 60.0  # seconds
GROUP, USER = "system:bootstrappers:parts", "part"
ELECTED = (
    "--leader-elect-lease-duration=60s",
    "--leader-elect-renew-deadline=40s",
    "--leader-elect-retry-period=300ms",
)

# How a user is written in a kubeconfig, by the files beside it.
USERS = {
    "certificate": "{{client-certificate: {0}/pair.pem, client-key: {0}/pair.pem}}",
    "token-file": "{{tokenFile: {0}/token}}",
    "plug-in": "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {0}/plugin, interactiveMode: Never}}}}",
}
PLUGIN = """#!/bin/sh
printf '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%s"}}' "$(cat FOLDER/token)"
"""


def kubeconfig(folder: Path, running: RunningCluster, kind: str) -> str:
    path = folder / f"{kind}.conf"
    path.write_text(f"""
current-context: c
clusters: [{{name: k, cluster: {{server: "{running.url}", certificate-authority: {folder}/ca.crt}}}}]
users: [{{name: u, user: {USERS[kind].format(folder)}}}]
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
""")
    return str(path)


Part = Callable[[str, str], Awaitable[None]]


async def run_scheduler(name: str, config: str) -> None:
    lease = f"--leader-elect-resource-name={name}"
    given = [f"--kubeconfig={config}", lease, "--secure-port=0", *ELECTED]
    await scheduler.run(flags.parse("s", scheduler.FLAGS, given))


async def run_controllers(name: str, config: str) -> None:
    lease = f"--leader-elect-resource-name={name}"
    given = [f"--kubeconfig={config}", lease, "--secure-port=0", "--controllers=ttl-controller", *ELECTED]
    await controllermanager.run(flags.parse("c", controllermanager.FLAGS, given))


async def run_kubelet(name: str, config: str) -> None:
    given = [
        f"--kubeconfig={config}",
        f"--hostname-override={name}",
        "--runtime=hollow",
        "--node-ip=127.0.0.1",
        "--port=0",
        "--healthz-port=0",
    ]
    await kubelet.run(flags.parse("k", KUBELET_FLAGS, given))


PARTS: dict[str, Part] = {"scheduler": run_scheduler, "controllers": run_controllers, "kubelet": run_kubelet}


async def replace_credentials(folder: Path, admin: RESTClient, numbers: itertools.count[int]) -> None:
    """Another certificate and another token, each for LIFE_SECONDS."""
    key = keys.generate()
    template = Template(Subject(USER), KUBE_API_SERVER_CLIENT_SIGNER, ("digital signature", "client auth"))
    name = f"part-{next(numbers)}"
    approval = asyncio.ensure_future(approve(admin, name))
    pair = await issue(admin, RealClock(), key, template, 10, name)
    await approval
    write(folder / "pair.pem", pair.certificate + pair.key)
    end = datetime.now(UTC) + timedelta(seconds=LIFE_SECONDS)
    token = f"{next(numbers):06d}.0123456789abcdef"
    await admin.create(token_secret(token, end, auth_extra_groups=GROUP))
    write(folder / "token", token.encode())


async def approve(admin: RESTClient, name: str) -> None:
    for _ in range(100):
        try:
            csr = await admin.get(certificates_v1.CertificateSigningRequest, name)
        except StatusError:
            await asyncio.sleep(0.02)
            continue
        csr.status.conditions = [certificates_v1.CertificateSigningRequestCondition(type="Approved", status="True")]
        await admin.update(csr, "approval")
        return


def rights() -> rbac_v1.ClusterRoleBinding:
    api = "rbac.authorization.k8s.io"
    return rbac_v1.ClusterRoleBinding(
        metadata=meta_v1.ObjectMeta(name="parts"),
        role_ref=rbac_v1.RoleRef(api_group=api, kind="ClusterRole", name="cluster-admin"),
        subjects=[
            rbac_v1.Subject(kind="Group", api_group=api, name=GROUP),
            rbac_v1.Subject(kind="User", api_group=api, name=USER),
        ],
    )


async def replace_on_and_on(folder: Path, admin: RESTClient, numbers: itertools.count[int]) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        await replace_credentials(folder, admin, numbers)


async def ask_for_work(admin: RESTClient, names: Iterable[str], number: int) -> None:
    """A pod for each kubelet."""
    for name in names:
        if name.startswith("kubelet"):
            pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(name=f"{name}-{number}", namespace="default"))
            pod.spec.node_name, pod.spec.containers = name, [core_v1.Container(name="c", image="i")]
            await admin.create(pod)


async def heard(admin: RESTClient, names: Iterable[str], number: int, since: datetime) -> dict[str, bool]:
    """Which parts did their work: one with a lease has renewed it since, a kubelet runs the pod that it was asked for."""
    found = {}
    for name in names:
        if name.startswith("kubelet"):
            pod = await admin.get(core_v1.Pod, f"{name}-{number}", "default")
            found[name] = pod.status.phase == "Running"
        else:
            lease = await admin.get(coordination_v1.Lease, name, "kube-system")
            found[name] = parse_rfc3339(lease.spec.renew_time, micro=True) > since
    return found


def test_credentials_that_end_are_read_anew(tmp_path: Path) -> None:
    names = {f"{part}-{kind}": (part, kind) for part in PARTS for kind in USERS}

    async def main() -> None:
        signer = "certificatesigningrequest-signing-controller"
        cluster = TestCluster(tmp_path, controllers=(signer,), signing_seconds=LIFE_SECONDS)
        running = await cluster.start()
        tasks: dict[str, asyncio.Future[Any]] = {}
        try:
            admin, numbers = cluster.client("kubernetes-admin"), itertools.count()
            await admin.create(rights())
            (tmp_path / "ca.crt").write_bytes(running.ca)
            (tmp_path / "plugin").write_text(PLUGIN.replace("FOLDER", str(tmp_path)))
            (tmp_path / "plugin").chmod(0o700)
            await replace_credentials(tmp_path, admin, numbers)
            for name, (part, kind) in names.items():
                tasks[name] = asyncio.ensure_future(PARTS[part](name, kubeconfig(tmp_path, running, kind)))
            replacing = tasks["replacing"] = asyncio.ensure_future(replace_on_and_on(tmp_path, admin, numbers))
            await asyncio.sleep(LIFE_SECONDS)  # those that they began with have ended
            since = datetime.now(UTC)
            await ask_for_work(admin, names, 1)
            async with asyncio.timeout(PATIENCE):
                while not all((await heard(admin, names, 1, since)).values()):
                    await asyncio.sleep(0.05)
            assert [name for name, task in tasks.items() if task.done()] == []

            replacing.cancel()
            await asyncio.sleep(LIFE_SECONDS + 1)  # nobody replaces them any more: so they did end
            since = datetime.now(UTC)
            await ask_for_work(admin, names, 2)
            await asyncio.sleep(QUIET_SECONDS)
            assert await heard(admin, names, 2, since) == dict.fromkeys(names, False)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            await cluster.stop()

    asyncio.run(main())
