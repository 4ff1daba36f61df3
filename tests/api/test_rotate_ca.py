"""An authority is replaced under a running API server and its clients: nobody is restarted, no request fails."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.cli.main import main
from pybernetes.client.kubeconfig import Config, load
from pybernetes.client.rest import RESTClient

from .test_deployed import Host, command, deployed
from .test_deployed import not_its_own as not_its_own

KUBECONFIGS = ("super-admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf")


class Users:
    """Clients that were there before: each asks on and on, over the connection that stands and over new ones of the same configuration."""

    def __init__(self, host: Host) -> None:
        self.configs: dict[str, Config] = {name: load(host.folder / name) for name in KUBECONFIGS}
        self.answered = dict.fromkeys(KUBECONFIGS, 0)
        self.failed: list[str] = []

    async def ask(self, name: str) -> None:
        old = RESTClient(self.configs[name])
        try:
            while True:
                new = RESTClient(self.configs[name])
                try:
                    for client in (old, new):
                        await client.raw("GET", "/api/v1/nodes?limit=1" if name == "super-admin.conf" else "/readyz")
                    self.answered[name] += 1
                except (StatusError, ConnectionError, OSError) as error:
                    self.failed.append(f"{name}: {error!r}")
                finally:
                    await new.close()
                await asyncio.sleep(0.01)
        finally:
            await old.close()

    async def all_again(self) -> None:
        """Returns when each has asked twice more."""
        goal = {name: count + 2 for name, count in self.answered.items()}
        async with asyncio.timeout(20):
            while any(self.answered[name] < count for name, count in goal.items()) and not self.failed:
                await asyncio.sleep(0.01)
        assert not self.failed

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.ask(name)) for name in KUBECONFIGS]
        try:
            await self.all_again()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def refused(*words: str) -> str:
    """What a command says that is to fail."""
    output = io.StringIO()

    def run() -> int:
        with contextlib.redirect_stderr(output):
            return main(list(words))

    assert await asyncio.to_thread(run) == 1
    return output.getvalue()


def authorities(path: Path) -> list[int]:
    return [one.serial_number for one in x509.load_pem_x509_certificates(path.read_bytes())]


def test_no_request_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybernetes.pki.bundles.LOOK_SECONDS", 0.05)

    async def run() -> None:
        async with deployed(tmp_path) as host:
            flags = (host.config, host.directory, f"--kubelet-dir={tmp_path}/kubelet")
            shutil.copy(tmp_path / "super-admin.conf", tmp_path / "stolen.conf.old")
            old = authorities(tmp_path / "pki/ca.crt")
            users = Users(host)
            async with users.at_work():
                assert "prepare` comes first" in await refused("certs", "rotate-ca", "reissue", *flags)
                assert "prepare` comes first" in await refused("certs", "rotate-ca", "finish", *flags)
                said = await command("certs", "rotate-ca", "prepare", *flags)
                assert f"{tmp_path}/pki/ca.crt holds 2 authorities" in said and "super-admin.conf trusts 2" in said
                both = authorities(tmp_path / "pki/ca.crt")
                assert both[0] == old[0] and len(both) == 2
                await users.all_again()
                again = await command("certs", "rotate-ca", "prepare", *flags)
                assert "[rotate-ca]" not in again and authorities(tmp_path / "pki/ca.crt") == both
                assert "reissue` comes first" in await refused("certs", "rotate-ca", "finish", *flags)
                serving = await asyncio.to_thread(host.serving_certificate)

                said = await command("certs", "rotate-ca", "reissue", *flags)
                for name in ("apiserver", "apiserver-kubelet-client", *KUBECONFIGS):
                    assert f"[rotate-ca] {name} reissued" in said
                assert "front-proxy-client" not in said
                assert authorities(tmp_path / "pki/ca.crt") == both[::-1]
                await users.all_again()
                assert await asyncio.to_thread(host.serving_certificate) != serving
                assert "reissued" not in await command("certs", "rotate-ca", "reissue", *flags)

                said = await command("certs", "rotate-ca", "finish", *flags)
                assert "is the new authority alone" in said
                assert authorities(tmp_path / "pki/ca.crt") == both[1:]
                await asyncio.sleep(0.1)  # longer than who was taken out is taken still
                await users.all_again()
            config = load(tmp_path / "stolen.conf.old")
            config.source = None
            config.ca_data = (tmp_path / "pki/ca.crt").read_bytes()
            async with contextlib.AsyncExitStack() as stack:
                stolen = RESTClient(config)
                stack.push_async_callback(stolen.close)
                with pytest.raises((StatusError, ConnectionError)):
                    await stolen.list(core_v1.Node)

    asyncio.run(run())


def test_a_host_without_the_key_trusts_what_it_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        master, worker = tmp_path / "master", tmp_path / "worker"
        for folder in (master, worker / "pki"):
            folder.mkdir(parents=True)
        host = Host(master)
        await command("init", "phase", "certs", "ca", host.config)
        await command("init", "phase", "kubeconfig", "scheduler", host.config, host.directory)
        shutil.copy(master / "pki/ca.crt", worker / "pki/ca.crt")
        shutil.copy(master / "scheduler.conf", worker / "kube-proxy.conf")
        here = (
            f"--cert-dir={worker}/pki",
            f"--kubeconfig-dir={worker}",
            f"--kubeconfig={worker}/none",
            "--kubelet-dir=/none",
        )
        bundle = str(master / "pki/ca.crt")
        for step, count in (("prepare", 2), ("reissue", 2), ("finish", 1)):
            await command("certs", "rotate-ca", step, host.config, host.directory, "--kubelet-dir=/none")
            await command("certs", "rotate-ca", "trust", bundle, *here)
            assert authorities(worker / "pki/ca.crt") == authorities(master / "pki/ca.crt")
            held = load(worker / "kube-proxy.conf").ca_data or b""
            assert held.count(b"BEGIN") == count
        other = tmp_path / "other"
        other.mkdir()
        await command("init", "phase", "certs", "ca", Host(other).config)
        assert "another cluster" in await refused("certs", "rotate-ca", "trust", str(other / "pki/ca.crt"), *here)
        assert "has the authority's key" in await refused(
            "certs", "rotate-ca", "trust", bundle, host.config, host.directory, "--kubelet-dir=/none"
        )

    asyncio.run(run())


@pytest.mark.parametrize("kills", [1, 2, 3, 5, 8])
def test_killed_in_its_midst_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
    """Each step is cut off after so many files, and run again: the end is the same, and at no time is somebody mistrusted on this host."""
    from pybernetes.deploy import rotation

    class Killed(Exception): ...

    async def run() -> None:
        host = Host(tmp_path)
        await command("init", "phase", "certs", "all", host.config)
        await command("init", "phase", "kubeconfig", "all", host.config, host.directory)
        words = (host.config, host.directory, "--kubelet-dir=/none")
        for step in ("prepare", "reissue", "finish"):
            with monkeypatch.context() as patch:
                for module in ("rotation", "pkifiles"):
                    patch.setattr(f"pybernetes.deploy.{module}.write", limited(kills, Killed))
                with contextlib.suppress(Killed):
                    await command("certs", "rotate-ca", step, *words)
            check_trust(tmp_path)
            await command("certs", "rotate-ca", step, *words) if step != "finish" or (
                tmp_path / "pki/next/ca.crt"
            ).exists() else None
            check_trust(tmp_path)
        assert len(authorities(tmp_path / "pki/ca.crt")) == 1
        assert rotation.NEXT  # the folder stays, empty
        assert not list((tmp_path / "pki/next").iterdir())

    asyncio.run(run())


def limited(count: int, killed: type[Exception]) -> Callable[..., None]:
    from pybernetes.pki.files import write

    left = [count]

    def one(*arguments: object) -> None:
        if not left[0]:
            raise killed
        left[0] -= 1
        write(*arguments)  # type: ignore[arg-type]  # as they came

    return one


def check_trust(folder: Path) -> None:
    """Every certificate is one of an authority that the server's file and every kubeconfig hold."""
    bundle = x509.load_pem_x509_certificates((folder / "pki/ca.crt").read_bytes())
    for name in KUBECONFIGS:
        config = load(folder / name)
        trusted = x509.load_pem_x509_certificates(config.ca_data or b"")
        shown = x509.load_pem_x509_certificate(config.certificate or b"")
        assert any(_signed(shown, one) for one in bundle), name
        serving = x509.load_pem_x509_certificate((folder / "pki/apiserver.crt").read_bytes())
        assert any(_signed(serving, one) for one in trusted), name


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # InvalidSignature, ValueError
        return False
    return True
