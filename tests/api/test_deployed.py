"""What the phases make is what the parts run on: an API server with such a PKI, its kubeconfigs, tokens, and renewal under it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.types import authentication_v1, core_v1, meta_v1, rbac_v1
from pybernetes.cli import apiserver
from pybernetes.cli.main import main
from pybernetes.client.kubeconfig import Config, load
from pybernetes.client.rest import RESTClient
from pybernetes.component import flags

from ..ports import free_port
from .test_tls_bootstrap import until

CONFIGURATION = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {{name: m1}}
localAPIEndpoint: {{advertiseAddress: 127.0.0.1, bindPort: {port}}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
certificatesDir: {folder}/pki
encryptionAlgorithm: ECDSA-P256
etcd: {{external: {{endpoints: ["http://127.0.0.1:2379"]}}}}
"""


@pytest.fixture(autouse=True)
def not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server shares this process with tests, whose garbage is to be collected."""
    monkeypatch.setattr("pybernetes.aio.collector.own_process", lambda: None)


async def command(*words: str) -> str:
    """stdout of a command that succeeds; in a thread, for it has an event loop of its own."""
    output = io.StringIO()

    def run() -> int:
        with contextlib.redirect_stdout(output):
            return main(list(words))

    assert await asyncio.to_thread(run) == 0, output.getvalue()
    return output.getvalue()


class Host:
    """A control-plane host in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "kubeadm.yaml").write_text(CONFIGURATION.format(folder=folder, port=self.port))
        self.config, self.directory = f"--config={folder}/kubeadm.yaml", f"--kubeconfig-dir={folder}"

    def api_server(self) -> list[str]:
        """Its flags, of the PKI's names as a kubeadm manifest has them."""
        pki = self.folder / "pki"
        return [
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--store=memory:",
            "--enable-bootstrap-token-auth=true",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            "--authorization-mode=Node,RBAC",
        ]

    @contextlib.asynccontextmanager
    async def client(self, kubeconfig: str) -> AsyncIterator[RESTClient]:
        client = RESTClient(load(self.folder / kubeconfig))
        try:
            yield client
        finally:
            await client.close()

    async def identity(self, kubeconfig: str) -> tuple[str, set[str]]:
        async with self.client(kubeconfig) as client:
            user = (await client.create(authentication_v1.SelfSubjectReview())).status.user_info
            return user.username, set(user.groups) - {"system:authenticated"}

    def serving_certificate(self) -> str:
        return ssl.get_server_certificate(("127.0.0.1", self.port), ca_certs=str(self.folder / "pki/ca.crt"))


@contextlib.asynccontextmanager
async def deployed(folder: Path) -> AsyncIterator[Host]:
    host = Host(folder)
    await command("init", "phase", "certs", "all", host.config)
    await command("init", "phase", "kubeconfig", "all", host.config, host.directory)
    values = flags.parse(apiserver.PROGRAM, apiserver.FLAGS, host.api_server())
    server = asyncio.ensure_future(apiserver.run(values))
    try:
        async with host.client("super-admin.conf") as client:
            await until(lambda: client.raw("GET", "/readyz"))
        yield host
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


def cluster_admins() -> rbac_v1.ClusterRoleBinding:
    """As kubeadm puts it into the API with super-admin.conf."""
    api, name = "rbac.authorization.k8s.io", "kubeadm:cluster-admins"
    return rbac_v1.ClusterRoleBinding(
        metadata=meta_v1.ObjectMeta(name=name),
        role_ref=rbac_v1.RoleRef(api_group=api, kind="ClusterRole", name="cluster-admin"),
        subjects=[rbac_v1.Subject(kind="Group", api_group=api, name=name)],
    )


def test_who_comes_with_which_kubeconfig(tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed(tmp_path) as host:
            assert await host.identity("super-admin.conf") == ("kubernetes-super-admin", {"system:masters"})
            assert await host.identity("admin.conf") == ("kubernetes-admin", {"kubeadm:cluster-admins"})
            assert await host.identity("kubelet.conf") == ("system:node:m1", {"system:nodes"})
            assert await host.identity("controller-manager.conf") == ("system:kube-controller-manager", set())
            assert await host.identity("scheduler.conf") == ("system:kube-scheduler", set())
            async with host.client("admin.conf") as admin, host.client("super-admin.conf") as more:
                with pytest.raises(StatusError, match="forbidden"):
                    await admin.list(core_v1.Secret)
                await more.create(cluster_admins())
                assert (await until(lambda: admin.list(core_v1.Secret))).items == []
            token = (await command("token", "create", f"--kubeconfig={tmp_path}/admin.conf")).strip()
            config = Config(
                f"https://127.0.0.1:{host.port}", ca_data=(tmp_path / "pki/ca.crt").read_bytes(), token=token
            )
            client = RESTClient(config)
            user = (await client.create(authentication_v1.SelfSubjectReview())).status.user_info
            await client.close()
            assert user.username == f"system:bootstrap:{token[:6]}"
            text = await command("kubeconfig", "user", "--client-name=jane", "--org=dev", host.config)
            (tmp_path / "jane.conf").write_text(text)
            assert await host.identity("jane.conf") == ("jane", {"dev"})

    asyncio.run(run())


def test_renewal_under_a_running_server(tmp_path: Path) -> None:
    """Its configuration comes from the cluster, and from nowhere where that cannot be asked."""

    async def run() -> None:
        async with deployed(tmp_path) as host:
            conf = f"--kubeconfig={tmp_path}/super-admin.conf"
            words = ("certs", "check-expiration", conf, host.directory, f"--cert-dir={tmp_path}/pki")
            output = await command(*words)
            assert output.startswith(
                '[check-expiration] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...\n'
                "[check-expiration] Error reading configuration from the Cluster. Falling back to default configuration\n\n"
            )
            assert "!MISSING! etcd-server" in output  # the default is etcd on the host
            async with host.client("super-admin.conf") as client:
                kept = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="kubeadm-config", namespace="kube-system"))
                kept.data = {"ClusterConfiguration": (tmp_path / "kubeadm.yaml").read_text().split("---")[1]}
                await client.create(kept)
                output = await command("certs", "check-expiration", conf, host.directory)
                assert "Error" not in output and "etcd" not in output and "MISSING" not in output

                before = await asyncio.to_thread(host.serving_certificate)
                await client.list(core_v1.Node)
                await command("certs", "renew", "all", conf, host.directory)
                assert await asyncio.to_thread(host.serving_certificate) != before
                await client.list(core_v1.Node)  # over the connection that stands
            assert await host.identity("admin.conf") == ("kubernetes-admin", {"kubeadm:cluster-admins"})

    asyncio.run(run())
