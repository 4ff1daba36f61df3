"""What extension API servers and the parts learn of who signs clients' certificates."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.apiserver.bootstrap.authentication import NAME, NAMESPACE, Publisher
from pybernetes.apiserver.options import FLAGS, access
from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.pki.certificates import Authority
from pybernetes.pki.files import write

NOW = datetime.now(UTC)


class Maps:
    """One config map, as the storage of the start has it."""

    def __init__(self) -> None:
        self.obj: dict[str, Any] | None = None
        self.writes = 0

    def get(self, namespace: str, name: str) -> Any:
        assert (namespace, name) == (NAMESPACE, NAME)
        return self.obj

    async def create(self, namespace: str, obj: dict[str, Any]) -> None:
        self.obj, self.writes = obj, self.writes + 1

    async def update(self, namespace: str, obj: dict[str, Any]) -> None:
        self.obj, self.writes = obj, self.writes + 1


def test_authorities_that_are_replaced_are_published_by_the_minute(tmp_path: Path) -> None:
    """By overlap: the old one, both, the new one; what is half written is published to nobody."""
    old, new = Authority.create("old", NOW).pem, Authority.create("new", NOW).pem
    bundle = tmp_path / "ca.crt"
    write(bundle, old)
    read = access._published(flags.parse("kube-apiserver", FLAGS, [f"--client-ca-file={bundle}"]))

    async def main() -> list[str]:
        clock, maps, seen = VirtualClock(), Maps(), []
        publisher = Publisher(maps, read, clock)  # type: ignore[arg-type]  # three verbs of a storage
        await publisher.start()
        for content in (old, old + new, new[:100], new):
            write(bundle, content)
            await clock.advance(61)
            assert maps.obj is not None
            seen.append(maps.obj["data"]["client-ca-file"])
        await publisher.stop()
        assert maps.writes == 3
        return seen

    both = (old + new).decode()
    assert asyncio.run(main()) == [old.decode(), both, both, new.decode()]


def test_a_file_without_authorities_is_refused_at_the_start(tmp_path: Path) -> None:
    write(tmp_path / "ca.crt", b"none")
    with pytest.raises(UsageError, match="--client-ca-file: "):
        access._published(flags.parse("kube-apiserver", FLAGS, [f"--client-ca-file={tmp_path}/ca.crt"]))


@pytest.mark.parametrize("theirs", ["ca", "another"])
def test_servers_that_start_together(theirs: str) -> None:
    """One is faster; the other sees that a moment later, and adds what is missing."""

    class Shared(Maps):
        async def create(self, namespace: str, obj: dict[str, Any]) -> None:
            raise errors.already_exists("", "configmaps", NAME)

    async def main() -> None:
        clock, maps = VirtualClock(), Shared()
        publisher = Publisher(maps, lambda: {"client-ca-file": "ca"}, clock)  # type: ignore[arg-type]  # three verbs of a storage
        starting = asyncio.ensure_future(publisher.start())
        await clock.advance(0.3)
        assert not starting.done()
        maps.obj = {"metadata": {"name": NAME}, "data": {"client-ca-file": theirs}}  # what this one's cache is told
        await clock.advance(0.3)
        await starting
        assert maps.obj["data"] == {"client-ca-file": "ca"} and maps.writes == (theirs != "ca")
        await publisher.stop()

    asyncio.run(main())
