"""How the API server shows itself to kubelets: with the files as they are when it connects."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.apiserver.endpoints.connect.kubelet import KubeletConfig
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import write
from tests.unit.pki.test_contexts import issue, peers

NOW = datetime.now(UTC)
KUBELET = Subject("n1", names=("localhost",), server=True, client=False)


def test_its_certificate_and_the_authority_of_kubelets_are_followed(tmp_path: Path) -> None:
    async def main() -> None:
        old, new = Authority.create("old", NOW), Authority.create("new", NOW)
        write(tmp_path / "clients.crt", old.pem)
        write(tmp_path / "kubelets.crt", old.pem)
        certificate, key = issue(old, tmp_path, Subject("api"))
        config = KubeletConfig(certificate=str(certificate), key=str(key), authority=f"{tmp_path}/kubelets.crt")
        before = ServerContext(old.issue(KUBELET, NOW), authorities=[tmp_path / "clients.crt"])
        after = ServerContext(new.issue(KUBELET, NOW), authorities=[tmp_path / "clients.crt"])
        _, first = await peers(before, config.context)
        issue(old, tmp_path, Subject("api"))
        _, renewed = await peers(before, config.context)
        assert None not in (first, renewed) and first != renewed
        with pytest.raises(ssl.SSLError):
            await peers(after, config.context)
        write(tmp_path / "kubelets.crt", old.pem + new.pem)
        assert (await peers(before, config.context))[1] == (await peers(after, config.context))[1] == renewed

    asyncio.run(main())
