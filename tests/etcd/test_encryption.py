"""Encryption at rest on etcd: what etcdctl sees is upstream's form, bound to upstream's keys."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api import gobase64
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.encryption.aes import GCM
from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options import encryption as encryption_options
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.cli.store import PROGRAM
from pybernetes.component import flags

from ..api.golden import Administrator
from ..api.test_services import Client
from ..unit.apiserver.encryption.test_provider import configured, provider
from . import server
from .server import Member, etcd

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
SECRETS = "/api/v1/namespaces/default/secrets"
WORD = b"correct horse battery staple"
KEY = "/registry/secrets/default/s"


@asynccontextmanager
async def running(
    member: Member, file: Path, *entries: tuple[list[str], list[dict[str, Any]]]
) -> AsyncIterator[Client]:
    """A server as the command line makes it."""
    arguments = [f"--etcd-servers={member.url}", f"--encryption-provider-config={configured(file, *entries)}"]
    chosen = flags.parse("kube-apiserver", FLAGS, arguments)
    encryption = encryption_options.made(chosen)
    assert encryption is not None
    store = await store_options.opened(chosen, encryption)
    await encryption.start()
    access = {"authentication": AuthenticationOptions([Administrator()]), "authorization_modes": ("RBAC",)}
    one = APIServer(store, Options(**access, encryption=encryption, **store_options.options(chosen)))
    await one.start()
    client = Client(one.port)
    try:
        yield client
    finally:
        await client.close()
        await one.stop(0)
        await encryption.close()
        await store.close()


def seen(member: Member, key: str) -> bytes:
    """What etcdctl says."""
    command = ["etcdctl", f"--endpoints={member.url}", "get", key, "--print-value-only"]
    return subprocess.run(command, check=True, capture_output=True, env={"ETCDCTL_API": "3"}).stdout.removesuffix(b"\n")


def test_what_lies_in_etcd(tmp_path: Path) -> None:
    async def scenario() -> None:
        secret = {"metadata": {"name": "s"}, "data": {"word": base64.b64encode(WORD).decode()}}
        one = provider("aesgcm", "1")
        async with etcd(tmp_path) as [member]:
            async with running(member, tmp_path / "e", (["*.*"], [one])) as client:
                assert (await client.send("POST", SECRETS, secret))[0] == 201
            value = await asyncio.to_thread(seen, member, KEY)
            assert value.startswith(b"k8s:enc:aesgcm:v1:1:") and WORD not in value
            key = gobase64.decode(one["aesgcm"]["keys"][0]["secret"])
            plain = await GCM(key).open(value.removeprefix(b"k8s:enc:aesgcm:v1:1:"), KEY.encode())
            assert plain.value.startswith(b"k8s\0") and WORD in plain.value  # upstream's protobuf, under upstream's key
            ports = await asyncio.to_thread(seen, member, "/registry/ranges/servicenodeports")
            assert not ports.startswith(b"k8s:enc:")  # no resource's
            role = await asyncio.to_thread(seen, member, "/registry/clusterroles/cluster-admin")
            assert role.startswith(b"k8s:enc:aesgcm:v1:1:")
            turned = [provider("aescbc", "2"), one]
            async with running(member, tmp_path / "e", (["secrets"], turned), (["*.*"], [one])) as client:
                code, kept = await client.send("GET", f"{SECRETS}/s")
                assert code == 200 and kept["data"] == secret["data"]
                code, again = await client.send("PUT", f"{SECRETS}/s", kept)  # nothing is new but the key
                assert code == 200 and again["metadata"]["resourceVersion"] != kept["metadata"]["resourceVersion"]
                text = await client.text("/metrics")
                assert 'resource="clusterroles.rbac.authorization.k8s.io",transformation_type="from_storage"' in text
            assert (await asyncio.to_thread(seen, member, KEY)).startswith(b"k8s:enc:aescbc:v1:2:")

    asyncio.run(scenario())


def test_a_copy_into_etcd_is_under_its_new_key(tmp_path: Path) -> None:
    """`store copy` between two clusters of etcd, each with the configuration of its own server."""

    async def scenario() -> None:
        secret = {"metadata": {"name": "s"}, "data": {"word": base64.b64encode(WORD).decode()}}
        before, after = (["*.*"], [provider("aesgcm", "1")]), (["secrets"], [provider("secretbox", "2")])
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        async with etcd(tmp_path / "a") as [source], etcd(tmp_path / "b") as [target]:
            async with running(source, tmp_path / "before", before) as client:
                assert (await client.send("POST", SECRETS, secret))[0] == 201
            command = [
                *(sys.executable, "-m", *PROGRAM.split(), source.url, target.url),
                f"--encryption-provider-config={tmp_path / 'before'}",
                f"--target-encryption-provider-config={configured(tmp_path / 'after', after)}",
            ]
            await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
            assert (await asyncio.to_thread(seen, target, KEY)).startswith(b"k8s:enc:secretbox:v1:2:")
            role = await asyncio.to_thread(seen, target, "/registry/clusterroles/cluster-admin")
            assert role.startswith(b"k8s\0")
            async with running(target, tmp_path / "after", after) as client:
                code, kept = await client.send("GET", f"{SECRETS}/s")
                assert code == 200 and kept["data"] == secret["data"]

    asyncio.run(scenario())
