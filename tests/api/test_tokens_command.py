"""`pybernetes token` against a cluster: created, signed with, listed, authenticated with, deleted; what a Secret must say to be a token."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pybernetes.api.errors import StatusError
from pybernetes.api.types import authentication_v1, core_v1, meta_v1
from pybernetes.cli.main import main
from pybernetes.client.kubeconfig import Config, load
from pybernetes.client.rest import RESTClient
from pybernetes.controllers.bootstrap.tokens import detached_signature
from pybernetes.pki.certificates import public_key_pin
from pybernetes.testing.cluster import RunningCluster, TestCluster

from .test_tls_bootstrap import token_secret, until

TOKEN = "abcdef.0123456789abcdef"
GROUP = "system:bootstrappers:kubeadm:default-node-token"
KUBECONFIG = "apiVersion: v1\nkind: Config\n"


@contextlib.asynccontextmanager
async def clustered(folder: Path) -> AsyncIterator[tuple[RunningCluster, RESTClient]]:
    cluster = TestCluster(folder, controllers=("bootstrap-signer-controller", "token-cleaner-controller"))
    running = await cluster.start()
    try:
        admin = cluster.client("kubernetes-admin")
        info = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="cluster-info", namespace="kube-public"))
        info.data = {"kubeconfig": KUBECONFIG}
        await admin.create(info)
        yield running, admin
    finally:
        await cluster.stop()


async def token(running: RunningCluster, *arguments: str, code: int = 0) -> tuple[str, str]:
    """(stdout, stderr) of the command, in a thread: it has an event loop of its own."""
    output, errors = io.StringIO(), io.StringIO()

    def run() -> int:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            return main(["token", *arguments, f"--kubeconfig={running.kubeconfig}"])

    assert await asyncio.to_thread(run) == code, errors.getvalue()
    return output.getvalue(), errors.getvalue()


async def user_of(running: RunningCluster, bearer: str) -> authentication_v1.UserInfo | None:
    """Whom the API server takes who comes with a token for; None: for nobody."""
    client = RESTClient(Config(running.url, ca_data=running.ca, token=bearer))
    try:
        review = await client.create(authentication_v1.SelfSubjectReview())
        return review.status.user_info
    except StatusError as error:
        assert (error.code, error.reason) == (401, "Unauthorized")
        return None
    finally:
        await client.close()


def test_the_life_of_a_token_by_command(tmp_path: Path) -> None:
    async def run() -> None:
        async with clustered(tmp_path) as (running, admin):
            assert await token(running, "list") == ("", "")
            made = (await token(running, "create", "--ttl=2h", "--description=for the test"))[0].strip()
            user = await user_of(running, made)
            assert user is not None and user.username == f"system:bootstrap:{made[:6]}"
            assert user.groups == ["system:bootstrappers", GROUP, "system:authenticated"]

            async def signature() -> str:
                data = (await admin.get(core_v1.ConfigMap, "cluster-info", "kube-public")).data
                return data.get(f"jws-kubeconfig-{made[:6]}", "")

            assert await until(signature) == detached_signature(KUBECONFIG, *made.split("."))

            output, _ = await token(running, "create", TOKEN, "--ttl=0", "--print-join-command")
            (pin,) = [public_key_pin(running.ca)]
            host = running.url.removeprefix("https://")
            assert output == f"pybernetes join {host} --token {TOKEN} --discovery-token-ca-cert-hash {pin}\n"
            _, errors = await token(running, "create", TOKEN, code=1)
            assert 'a token with id "abcdef" already exists' in errors

            lines = (await token(running, "list"))[0].splitlines()
            assert len(lines) == 3 and lines[0].split() == [
                "TOKEN",
                "TTL",
                "EXPIRES",
                "USAGES",
                "DESCRIPTION",
                "EXTRA",
                "GROUPS",
            ]
            rows = {line.split()[0]: line for line in lines[1:]}
            assert rows[made].split()[1] == "1h" and "for the test" in rows[made]
            assert rows[TOKEN].split()[1:4] == ["<forever>", "<never>", "authentication,signing"]
            objects = [*yaml.safe_load_all((await token(running, "list", "-o", "yaml"))[0])]
            assert {one["token"] for one in objects} == {made, TOKEN} and {one["kind"] for one in objects} == {
                "BootstrapToken"
            }

            output, _ = await token(running, "delete", "abcdef", made)
            assert output == f'bootstrap token "abcdef" deleted\nbootstrap token "{made[:6]}" deleted\n'
            assert await user_of(running, TOKEN) is None
            _, errors = await token(running, "delete", "abcdef", code=1)
            assert (
                'failed to delete bootstrap token "abcdef": ' in errors
                and '"bootstrap-token-abcdef" not found' in errors
            )

    asyncio.run(run())


def test_usages_groups_and_ends(tmp_path: Path) -> None:
    async def run() -> None:
        async with clustered(tmp_path) as (running, _):
            cases = {
                "signing.only": (["--usages=signing", "--groups="], None),
                "usages": (["--usages=authentication", "--groups=system:bootstrappers:a,system:bootstrappers:b"], 4),
                "brief": (["--ttl=6s"], 3),
            }
            made = {}
            for name, (arguments, groups) in cases.items():
                made[name] = (await token(running, "create", *arguments))[0].strip()
                user = await user_of(running, made[name])
                assert (user and len(user.groups)) == groups

            async def over() -> bool:
                return await user_of(running, made["brief"]) is None

            assert await until(over)

            async def cleaned() -> bool:
                return made["brief"] not in (await token(running, "list", "-o", "json"))[0]

            assert await until(cleaned)
            listed = (await token(running, "list", "-o", "json"))[0]
            first, _ = json.JSONDecoder().raw_decode(listed)
            assert list(first) == [
                "kind",
                "apiVersion",
                "token",
                "expires",
                "usages",
                *(["groups"] if "groups" in first else []),
            ]

    asyncio.run(run())


def test_a_file_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "kubeadm.yaml"
    path.write_text(f"""
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
bootstrapTokens:
- {{token: {TOKEN}, description: first, expires: 2099-01-01T00:00:00Z}}
- {{token: fedcba.0123456789abcdef, ttl: 1h, usages: [signing], groups: [system:bootstrappers:x]}}
""")

    async def run() -> None:
        async with clustered(tmp_path) as (running, admin):
            _, errors = await token(running, "create", f"--config={path}", code=2)
            assert "bootstrapTokens.1.groups: Invalid value" in errors
            path.write_text(path.read_text().replace("[signing]", "[signing, authentication]"))
            assert await token(running, "create", f"--config={path}") == (f"{TOKEN}\n", "")
            secret = await admin.get(core_v1.Secret, "bootstrap-token-abcdef", "kube-system")
            assert secret.data["expiration"] == b"2099-01-01T00:00:00Z" and secret.data["description"] == b"first"
            await admin.get(core_v1.Secret, "bootstrap-token-fedcba", "kube-system")

    asyncio.run(run())


WRONG = {
    "type": lambda secret: setattr(secret, "type", "Opaque"),
    "name": lambda secret: setattr(secret.metadata, "name", "bootstrap-token-other1"),
    "namespace": lambda secret: setattr(secret.metadata, "namespace", "default"),
    "id": lambda secret: secret.string_data.update({"token-id": "other1"}),
    "secret": lambda secret: secret.string_data.update({"token-secret": "fedcba9876543210"}),
    "usage": lambda secret: secret.string_data.update({"usage-bootstrap-authentication": "True"}),
    "end": lambda secret: secret.string_data.update({"expiration": "never"}),
    "groups": lambda secret: secret.string_data.update({"auth-extra-groups": "system:masters"}),
}


@pytest.mark.parametrize("where", WRONG)
def test_secrets_that_are_no_tokens(where: str, tmp_path: Path) -> None:
    """Each has one thing wrong; the server takes none for a token, or refuses the Secret itself as upstream's does."""

    async def run() -> None:
        async with clustered(tmp_path) as (running, admin):
            secret = token_secret(expires=datetime.now(UTC) + timedelta(hours=1))
            WRONG[where](secret)
            await admin.create(secret)
            assert await user_of(running, TOKEN) is None

    asyncio.run(run())


def test_a_kubeconfig_with_the_token_is_enough(tmp_path: Path) -> None:
    """As a node has it that joins: it may read nothing but what everybody may, and says who it is."""

    async def run() -> None:
        async with clustered(tmp_path) as (running, _):
            made = (await token(running, "create"))[0].strip()
            path = tmp_path / "bootstrap.conf"
            document = yaml.safe_load(Path(running.kubeconfig).read_text())
            document["users"][0]["user"] = {"token": made}
            path.write_text(yaml.safe_dump(document))
            client = RESTClient(load(path))
            try:
                with pytest.raises(StatusError, match=r"system:bootstrap:.* cannot list resource"):
                    await client.list(core_v1.Secret, "kube-system")
            finally:
                await client.close()

    asyncio.run(run())
