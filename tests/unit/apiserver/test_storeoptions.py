"""Which command lines say where objects are kept, and which cannot."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options import store as store_options
from pybernetes.component import flags
from pybernetes.component.command import Failure, UsageError


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--etcd-servers=ftp://a"], UsageError, "want http://HOST:PORT"),
        (["--etcd-servers=http://a,b:1"], UsageError, "want http://HOST:PORT"),
        (["--etcd-servers=http://127.0.0.1:2379/x"], UsageError, "want http://HOST:PORT"),
        (["--etcd-servers=http://127.0.0.1:2379", "--store=sqlite:/a"], UsageError, "give one of them"),
        (["--store=http://127.0.0.1:2379"], UsageError, "--etcd-servers"),
        (["--etcd-servers=https://127.0.0.1:2379", "--etcd-cafile=/none"], UsageError, "cannot be read"),
        (["--etcd-servers=http://127.0.0.1:1"], Failure, "cannot connect to http://127.0.0.1:1"),
    ],
)
def test_command_lines(
    arguments: list[str], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybernetes.store.etcd.store.CALL_SECONDS", 0.5)
    with pytest.raises(error, match=message):
        asyncio.run(store_options.opened(flags.parse("kube-apiserver", FLAGS, arguments)))
