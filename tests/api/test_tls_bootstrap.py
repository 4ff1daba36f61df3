"""A kubelet joins with a bootstrap token, and its certificates of some seconds are renewed under it; wrong tokens are refused in words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.types import certificates_v1, core_v1, meta_v1, rbac_v1
from pybernetes.cli import kubelet, kubeletcertificates
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.component import flags
from pybernetes.component.command import Failure
from pybernetes.controllers.bootstrap.tokens import detached_signature
from pybernetes.kubelet.certificate import bootstrap
from pybernetes.kubelet.options import FLAGS, KubeletConfiguration, kubelet_configuration
from pybernetes.pki.certificates import Authority, Leaf, Subject
from pybernetes.testing.cluster import RunningCluster, TestCluster

from ..ports import free_port

CONTROLLERS = (
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-signing-controller",
    "bootstrap-signer-controller",
    "token-cleaner-controller",
)
TOKEN = "abcdef.0123456789abcdef"
# What kubeadm binds, by role: who may ask with a token, whose first certificate is approved, and whose next ones.
BINDINGS = {
    "system:node-bootstrapper": "system:bootstrappers:here",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": "system:bootstrappers:here",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": "system:nodes",
}
SIGNING_SECONDS = 4.0  # a moment longer than a renewal takes: each is due as soon as the one before is there
CSR = certificates_v1.CertificateSigningRequest


def token_secret(token: str = TOKEN, expires: datetime | None = None, **usages: str) -> core_v1.Secret:
    identifier, secret = token.split(".")
    data = {
        "token-id": identifier,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:here",
    } | {name.replace("_", "-"): value for name, value in usages.items()}
    if expires is not None:
        data["expiration"] = f"{expires:%Y-%m-%dT%H:%M:%SZ}"
    return core_v1.Secret(
        metadata=meta_v1.ObjectMeta(name=f"bootstrap-token-{identifier}", namespace="kube-system"),
        type="bootstrap.kubernetes.io/token",
        string_data=data,
    )


def binding(role: str, group: str) -> rbac_v1.ClusterRoleBinding:
    return rbac_v1.ClusterRoleBinding(
        metadata=meta_v1.ObjectMeta(name=f"test:{role}"),
        role_ref=rbac_v1.RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=role),
        subjects=[rbac_v1.Subject(kind="Group", api_group="rbac.authorization.k8s.io", name=group)],
    )


def bootstrap_kubeconfig(folder: Path, cluster: RunningCluster, token: str = TOKEN, user: str = "") -> None:
    """`user` in YAML's short form, in place of one with the token itself."""
    (folder / "ca.crt").write_bytes(cluster.ca)
    (folder / "bootstrap.conf").write_text(f"""
current-context: c
clusters: [{{name: k, cluster: {{server: "{cluster.url}", certificate-authority: {folder}/ca.crt}}}}]
users: [{{name: u, user: {user or f"{{token: {token}}}"}}}]
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
""")


@contextlib.asynccontextmanager
async def clustered(folder: Path) -> AsyncIterator[tuple[RunningCluster, RESTClient]]:
    cluster = TestCluster(folder, hollow_nodes=1, controllers=CONTROLLERS, signing_seconds=SIGNING_SECONDS)
    running = await cluster.start()
    try:
        admin = cluster.client("kubernetes-admin")
        for role, group in BINDINGS.items():
            await admin.create(binding(role, group))
        yield running, admin
    finally:
        await cluster.stop()


def command_line(folder: Path, *more: str) -> flags.Values:
    arguments = [
        f"--bootstrap-kubeconfig={folder}/bootstrap.conf",
        f"--kubeconfig={folder}/kubelet.conf",
        f"--cert-dir={folder}/pki",
        f"--client-ca-file={folder}/ca.crt",
        "--runtime=hollow",
        "--hostname-override=n1",
        "--node-ip=127.0.0.1",
        "--address=127.0.0.1",
        "--healthz-port=0",
        *more,
    ]
    return flags.parse("kubelet", FLAGS, arguments)


def chosen(folder: Path) -> KubeletConfiguration:
    return kubelet_configuration(command_line(folder, "--port=0"), "n1", ["127.0.0.1"])


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    """What it gives that is not false."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(StatusError, OSError):
                value = await condition()
                if value:
                    return value
            await asyncio.sleep(0.05)


async def approve_serving(admin: RESTClient) -> None:
    """A person who approves what no controller does, until cancelled."""
    while True:
        for csr in (await admin.list(CSR)).items:
            if csr.spec.signer_name == "kubernetes.io/kubelet-serving" and not csr.status.conditions:
                condition = certificates_v1.CertificateSigningRequestCondition(type="Approved", status="True")
                csr.status.conditions = [condition]
                await admin.update(csr, "approval")
        await asyncio.sleep(0.1)


class Session:
    """A connection to the kubelet's port that stands."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, kubeconfig: str) -> Session:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=load(kubeconfig).ssl_context()))

    async def healthy(self) -> bool:
        self._writer.write(b"GET /healthz HTTP/1.1\r\nHost: n\r\n\r\n")
        head = await self._reader.readuntil(b"\r\n\r\n")
        await self._reader.readexactly(2)
        return head.startswith(b"HTTP/1.1 200")

    @property
    def leaf(self) -> Leaf:
        data = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return Leaf.of(ssl.DER_cert_to_PEM_cert(data).encode())

    def close(self) -> None:
        self._writer.close()


async def run_pod(admin: RESTClient, name: str) -> None:
    """Returns when it runs on the node."""
    pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(name=name, namespace="default"))
    pod.spec.node_name = "n1"
    pod.spec.containers = [core_v1.Container(name="c", image="i")]
    await admin.create(pod)

    async def runs() -> bool:
        return (await admin.get(core_v1.Pod, name, "default")).status.phase == "Running"

    assert await until(runs)


async def follow_logs(running: RunningCluster, pod: str) -> None:
    """Until the stream ends."""
    client = HTTPClient(running.url, load(running.kubeconfig).ssl_context())
    try:
        async with client.stream("GET", f"/api/v1/namespaces/default/pods/{pod}/log?follow=true") as stream:
            assert stream.status == 200
            await stream.read()
    finally:
        await client.close()


def test_certificates_of_seconds_are_renewed_in_the_running_kubelet(tmp_path: Path) -> None:
    async def main() -> None:
        async with clustered(tmp_path) as (running, admin):
            await admin.create(token_secret())
            bootstrap_kubeconfig(tmp_path, running)
            port = free_port()
            begun = datetime.now(UTC)
            node = asyncio.ensure_future(
                kubelet.run(command_line(tmp_path, f"--port={port}", "--rotate-server-certificates"))
            )
            person: asyncio.Future[None] | None = None
            try:
                assert await until(lambda: admin.get(core_v1.Node, "n1"))
                with pytest.raises((ssl.SSLError, ConnectionError)):  # nobody has approved its certificate yet
                    await Session.open(port, running.kubeconfig)
                person = asyncio.ensure_future(approve_serving(admin))
                session = await until(lambda: Session.open(port, running.kubeconfig))
                assert await session.healthy()
                first = session.leaf
                assert (first.common_name, first.names) == ("system:node:n1", ("n1",))

                await run_pod(admin, "early")
                following = asyncio.ensure_future(follow_logs(running, "early"))

                async def outlived() -> bool:
                    """All that was signed at first has ended, and the node is alive: its lease is renewed."""
                    return datetime.now(UTC) > begun + timedelta(seconds=SIGNING_SECONDS * 2)

                await until(outlived)
                await run_pod(admin, "late")  # seen and told by a kubelet whose first certificates have ended
                assert not following.done()  # the API server's stream from the kubelet was not cut
                following.cancel()
                assert await session.healthy()
                session.close()
                renewed = await Session.open(port, running.kubeconfig)
                assert renewed.leaf.begins > first.begins and await renewed.healthy()
                renewed.close()
                assert not node.done()
            finally:
                for task in (node, person):
                    if task is not None:
                        task.cancel()
                await asyncio.gather(*filter(None, (node, person)), return_exceptions=True)
        for name in ("client", "server"):
            link = tmp_path / "pki" / f"kubelet-{name}-current.pem"
            assert link.is_symlink() and len(list(link.parent.glob(f"kubelet-{name}-2*.pem"))) > 2
        requests = (tmp_path / "kubelet.conf").read_text()
        assert "client-certificate" in requests and TOKEN not in requests

    asyncio.run(main())


def plugin(version: str, mode: str = "") -> str:
    mode = f", interactiveMode: {mode}" if mode else ""
    return f"{{exec: {{apiVersion: client.authentication.k8s.io/{version}, command: ./plugin{mode}}}}}"


@pytest.mark.parametrize(
    ("user", "version"),
    [("{tokenFile: token}", "v1"), (plugin("v1", "IfAvailable"), "v1"), (plugin("v1beta1"), "v1beta1")],
)
def test_other_ways_to_have_the_token(user: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    api = f"client.authentication.k8s.io/{version}"
    given = json.dumps({"apiVersion": api, "kind": "ExecCredential", "status": {"token": TOKEN}})
    (tmp_path / "plugin").write_text(f"#!/bin/sh\necho '{given}'\n")
    (tmp_path / "plugin").chmod(0o700)

    async def main() -> None:
        async with clustered(tmp_path) as (running, admin):
            await admin.create(token_secret())
            bootstrap_kubeconfig(tmp_path, running, user=user)
            config = await kubeletcertificates.client_config(chosen(tmp_path))
            assert config.certificate is not None
            assert Leaf.of(config.certificate).common_name == "system:node:n1"

    asyncio.run(main())


def expired_pair(folder: Path) -> None:
    """As a machine has it that was off, or asleep, for too long."""
    then = datetime.now(UTC) - timedelta(days=3)
    pair = Authority.create("ca", then).issue(Subject("system:node:n1", ("system:nodes",)), then, timedelta(days=1))
    bootstrap.store(folder / "pki").update(pair, then)
    config = load(folder / "bootstrap.conf")
    bootstrap.write_kubeconfig(folder / "kubelet.conf", config, bootstrap.store(folder / "pki").current_path)


def test_a_start_after_the_end_of_its_certificate_takes_the_bootstrap_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with clustered(tmp_path) as (running, admin):
            await admin.create(token_secret())
            bootstrap_kubeconfig(tmp_path, running)
            expired_pair(tmp_path)
            with caplog.at_level("INFO"):
                config = await kubeletcertificates.client_config(chosen(tmp_path))
            lines = [record.getMessage() for record in caplog.records if "TLS bootstrap" in record.getMessage()]
            assert len(lines) == 1 and "cannot be used: it ended at" in lines[0]
            client = RESTClient(config)
            try:
                await client.list(CSR)
            finally:
                await client.close()
            names = [csr.metadata.name for csr in (await admin.list(CSR)).items]
            assert len(names) == 1 and names[0].startswith("node-csr-")
            again = await kubeletcertificates.client_config(chosen(tmp_path))  # a good one is used as it is
            assert again.certificate == config.certificate

    asyncio.run(main())


def test_the_running_kubelet_asks_as_the_bootstrap_user_where_its_own_certificate_has_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with clustered(tmp_path) as (running, admin):
            await admin.create(token_secret())
            bootstrap_kubeconfig(tmp_path, running)
            expired_pair(tmp_path)
            client = RESTClient(load(tmp_path / "kubelet.conf"))
            (manager,) = kubeletcertificates.managers(chosen(tmp_path), client)
            task = asyncio.ensure_future(manager.run())
            try:

                async def answered() -> bool:
                    return bool(await client.list(CSR))

                assert await until(answered)  # over a new connection, with the certificate that is there by now
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await client.close()
            assert caplog.text.count("the client certificate cannot be used: it ended at") == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("secret", "token"),
    [
        (token_secret(), "abcdef.fedcba9876543210"),
        (token_secret(), "nobody.0123456789abcdef"),
        (token_secret(expires=datetime.now(UTC) - timedelta(seconds=1)), TOKEN),
        (token_secret(usage_bootstrap_authentication="false"), TOKEN),
        (token_secret(auth_extra_groups="system:masters"), TOKEN),
    ],
    ids=["secret", "id", "expired", "usage", "groups"],
)
def test_tokens_that_are_refused(secret: core_v1.Secret, token: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with clustered(tmp_path) as (running, admin):
            await admin.create(secret)
            bootstrap_kubeconfig(tmp_path, running, token)
            with pytest.raises(Failure, match=r"TLS bootstrap .*Unauthorized: the token .* has expired"):
                await kubelet.run(command_line(tmp_path, "--port=0"))

    asyncio.run(main())


def test_the_life_of_a_token(tmp_path: Path) -> None:
    """Created, used to sign cluster-info, listed, expired: then it and its signature are gone."""

    async def main() -> None:
        async with clustered(tmp_path) as (_, admin):
            info = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="cluster-info", namespace="kube-public"))
            info.data = {"kubeconfig": "apiVersion: v1\nkind: Config\n"}
            await admin.create(info)
            await admin.create(token_secret())
            await admin.create(token_secret("silent.0123456789abcdef", usage_bootstrap_signing="false"))
            await admin.create(token_secret("brief1.0123456789abcdef", datetime.now(UTC) + timedelta(seconds=3)))
            await admin.create(token_secret("unread.0123456789abcdef", expiration="in a while"))  # that is over

            async def signatures() -> dict[str, str]:
                data = (await admin.get(core_v1.ConfigMap, "cluster-info", "kube-public")).data
                return {key: value for key, value in data.items() if key != "kubeconfig"}

            async def both() -> bool:
                return len(await signatures()) == 2

            async def one() -> bool:
                return len(await signatures()) == 1

            assert await until(both)
            assert await until(one)
            expected = detached_signature(info.data["kubeconfig"], "abcdef", "0123456789abcdef")
            assert await signatures() == {"jws-kubeconfig-abcdef": expected}
            left = (
                await admin.list(core_v1.Secret, "kube-system", field_selector="type=bootstrap.kubernetes.io/token")
            ).items
            assert [secret.metadata.name for secret in left] == ["bootstrap-token-abcdef", "bootstrap-token-silent"]

    asyncio.run(main())
