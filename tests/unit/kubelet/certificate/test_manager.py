"""Certificates over a year, through outages, refusals and a machine that sleeps; the first one by bootstrap."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.client.kubeconfig import Config, load
from pybernetes.kubelet.certificate import bootstrap, plan
from pybernetes.kubelet.certificate.manager import CertificateManager
from pybernetes.kubelet.certificate.signing import SigningError, issue
from pybernetes.kubelet.certificate.store import FileStore
from pybernetes.pki import keys
from pybernetes.pki.certificates import Leaf

from .signer import CSR, Signer

DAY = 86400.0
TEMPLATE = plan.client_template("n1")


class Node:
    """A manager at work over a virtual clock. `asked`: the certificate that was there at each try, `ends` of each new one."""

    def __init__(self, folder: Path, share: float = 0.5, look_seconds: float = 3600.0) -> None:
        self.clock = VirtualClock()
        self.signer = Signer(self.clock)
        self.store = FileStore(folder, "kubelet-client")
        self.asked: list[Leaf | None] = []
        self.renewed: list[datetime] = []
        self.failures: list[datetime] = []
        self.manager = CertificateManager(
            self.store,
            TEMPLATE,
            self._client_for,
            self.clock,
            self._note,
            lambda: self.failures.append(self.clock.now()),
            lambda: share,
            look_seconds,
        )

    @contextlib.asynccontextmanager
    async def _client_for(self, leaf: Leaf | None) -> AsyncIterator[Any]:
        self.asked.append(leaf)
        yield self.signer

    def _note(self, before: Leaf | None) -> None:
        assert (before is None) is (not self.renewed)
        self.renewed.append(self.clock.now())

    @property
    def leaf(self) -> Leaf:
        leaf = self.store.leaf()
        assert leaf is not None
        return leaf

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.manager.run())
        await self.clock.advance(10)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("share", "count"), [(0.0, 18), (0.5, 16), (1.0, 14)])
def test_a_year(tmp_path: Path, share: float, count: int) -> None:
    """Certificates of 30 days, renewed after 21, 24 or 27 of them; never is there none that holds."""
    node = Node(tmp_path, share)

    async def main() -> None:
        async with node.running():
            for _ in range(365):
                await node.clock.advance(DAY)
                assert node.clock.now() < node.leaf.ends
            assert len(node.renewed) == count
            assert len({path.read_bytes() for path in tmp_path.iterdir()}) == count  # each with a key of its own

    asyncio.run(main())


def test_an_api_server_that_is_away_is_asked_again_and_again(tmp_path: Path) -> None:
    node = Node(tmp_path)

    async def main() -> None:
        async with node.running():
            node.signer.down = True
            await node.clock.advance(25 * DAY)
            tries = len(node.asked)
            assert len(node.failures) > 1000
            assert len(node.renewed) == 1 and tries < 10 + DAY / 32 * 2  # no more than each 32 s
            node.signer.down = False
            await node.clock.advance(40)
            assert len(node.renewed) == 2

    asyncio.run(main())


@pytest.mark.parametrize("decision", ["Denied", "Failed", ""])
def test_what_is_not_signed_is_asked_for_anew(tmp_path: Path, decision: str, caplog: pytest.LogCaptureFixture) -> None:
    """Refused in words at once; where nobody decides, after a quarter of an hour."""
    node = Node(tmp_path)
    node.signer.decision = decision

    async def main() -> None:
        async with node.running():
            await node.clock.advance(1000)
            assert len(node.signer.all(CSR)) > 1 and not node.renewed
            node.signer.decision = "Approved"
            await node.clock.advance(1000)
            assert len(node.renewed) == 1

    asyncio.run(main())
    words = {"Denied": "is denied, reason: R", "Failed": "failed, reason: R", "": "was not signed within 900 s"}
    assert words[decision] in caplog.text


def test_a_machine_that_slept_through_the_end_of_its_certificate(tmp_path: Path) -> None:
    """The wall clock is far ahead all at once while the process has waited for a moment only."""
    node = Node(tmp_path, look_seconds=60.0)

    async def main() -> None:
        async with node.running():
            node.clock.step(60 * DAY)
            await node.clock.advance(61)
            assert len(node.renewed) == 2
            last = node.asked[-1]
            assert last is not None and plan.unusable(last, node.clock.now())

    asyncio.run(main())


def test_a_restart_during_the_wait_comes_back_to_its_request(tmp_path: Path) -> None:
    clock = VirtualClock()
    signer = Signer(clock)
    signer.decision = ""

    async def attempt() -> None:
        await bootstrap.first_certificate(signer, clock, tmp_path, "n1")

    async def main() -> None:
        first = asyncio.ensure_future(attempt())
        await clock.advance(100)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        signer.decision = "Approved"
        second = asyncio.ensure_future(attempt())
        await clock.advance(100)
        await second

    asyncio.run(main())
    (request,) = signer.all(CSR)
    assert request.metadata.name.startswith("node-csr-")
    leaf = bootstrap.store(tmp_path).leaf()
    assert leaf is not None and leaf.common_name == "system:node:n1"
    assert not (tmp_path / bootstrap.KEY_FILE).exists()


def test_a_request_of_that_name_for_another_key_is_not_taken(tmp_path: Path) -> None:
    clock = VirtualClock()
    signer = Signer(clock)

    async def main() -> None:
        await issue(signer, clock, keys.generate(), TEMPLATE, 10, "node-csr-x")
        with pytest.raises(SigningError, match="retrieved csr is not compatible"):
            await issue(signer, clock, keys.generate(), TEMPLATE, 10, "node-csr-x")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("days", "reason"), [(0, ""), (29, ""), (31, "cannot be used: it ended at"), (None, "does not exist")]
)
def test_bootstrap_is_needed_where_the_certificate_is_missing_or_over(
    tmp_path: Path, days: int | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock()
    signer = Signer(clock)
    path = tmp_path / "kubeconfig"

    async def main() -> None:
        if days is None:
            return
        await bootstrap.first_certificate(signer, clock, tmp_path, "n1")
        of = Config("https://h:6443", ca_data=b"ca")
        bootstrap.write_kubeconfig(path, of, bootstrap.store(tmp_path).current_path)
        await clock.advance(days * DAY)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
        needed = bootstrap.needed(path, clock)
    assert reason in needed and bool(needed) is bool(reason)
    if days is not None:
        config = load(path)
        assert (config.server, config.ca_data) == ("https://h:6443", b"ca")
        assert config.certificate_file == config.key_file == bootstrap.store(tmp_path).current_path


def test_a_kubeconfig_follows_the_file_of_authorities(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"ca")
    (tmp_path / "pair.pem").write_bytes(b"pair")
    of = Config("https://h:6443", ca_data=b"ca", ca_file=tmp_path / "ca.crt", tls_server_name="s")
    bootstrap.write_kubeconfig(tmp_path / "kubeconfig", of, tmp_path / "pair.pem")
    config = load(tmp_path / "kubeconfig")
    assert (config.ca_file, config.tls_server_name) == (tmp_path / "ca.crt", "s")


def test_a_server_of_2020_is_asked_as_its_own_kubelets_ask(tmp_path: Path) -> None:
    async def main() -> None:
        node = Node(tmp_path)
        node.signer.answers[("GET", "/version")] = b'{"major": "1", "minor": "20", "gitVersion": "v1.20.2"}'
        await issue(node.signer, node.clock, keys.generate(), TEMPLATE, 60)
        (made,) = node.signer.all(CSR)
        assert made.spec.usages == ["key encipherment", "digital signature", "client auth"]

    asyncio.run(main())
