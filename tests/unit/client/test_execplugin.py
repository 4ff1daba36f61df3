"""Credential plug-ins: what they are told, what their answers mean, how long those hold, and who connects with what."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from pybernetes.client import http, kubeconfig
from pybernetes.client.execplugin import (
    API_VERSIONS,
    Credential,
    ExecConfig,
    ExecPlugin,
    PluginError,
    credential,
    exec_info,
    is_interactive,
    parse,
)
from pybernetes.client.kubeconfig import Config, ConfigError
from pybernetes.client.rest import RESTClient
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import write
from pybernetes.wire.http import Request, Response, serve

NOW = datetime.now(UTC)
V1, V1BETA1 = API_VERSIONS
GOOD = {"apiVersion": V1, "command": "get-token", "interactiveMode": "Never"}


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ({"command": ""}, "command must be specified for u to use exec authentication plugin"),
        ({"apiVersion": ""}, "apiVersion must be specified for u to use exec authentication plugin"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "exec plugin: invalid apiVersion"),
        ({"interactiveMode": ""}, "interactiveMode must be specified for u to use exec authentication plugin"),
        ({"interactiveMode": "Sometimes"}, 'invalid interactiveMode for u: "Sometimes"'),
        ({"env": [{"value": "x"}]}, "env variable name must be specified for u to use exec authentication plugin"),
    ],
)
def test_plugins_that_are_refused(plugin: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse({**GOOD, **plugin}, "u", Path("/f"), {})


def test_the_older_version_may_leave_the_mode_out() -> None:
    config = parse({"apiVersion": V1BETA1, "command": "get-token"}, "u", Path("/f"), {})
    assert (config.interactive_mode, config.command) == ("IfAvailable", "get-token")


@pytest.mark.parametrize(
    ("command", "path"), [("get-token", "get-token"), ("./bin/get-token", "/f/bin/get-token"), ("/abs/x", "/abs/x")]
)
def test_a_command_with_a_slash_is_beside_its_kubeconfig(command: str, path: str) -> None:
    assert parse({**GOOD, "command": command}, "u", Path("/f"), {}).command == path


@pytest.mark.parametrize(
    ("mode", "terminal", "interactive"),
    [
        ("Never", True, False),
        ("Never", False, False),
        ("IfAvailable", True, True),
        ("IfAvailable", False, False),
        ("Always", True, True),
    ],
)
def test_interactive(mode: str, terminal: bool, interactive: bool) -> None:
    assert is_interactive(mode, terminal) is interactive


def test_always_wants_a_terminal() -> None:
    with pytest.raises(PluginError, match="cannot support interactive mode: standard input is not a terminal"):
        is_interactive("Always", False)


def test_the_cluster_is_told_where_that_is_asked_for() -> None:
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    cluster = {"server": "https://h", "certificate-authority-data": "Q0E=", "extensions": [extension]}
    plain = parse(GOOD, "u", Path("/f"), cluster)
    assert json.loads(exec_info(plain, False)) == {
        "kind": "ExecCredential",
        "apiVersion": V1,
        "spec": {"interactive": False},
    }
    told = json.loads(exec_info(parse({**GOOD, "provideClusterInfo": True}, "u", Path("/f"), cluster), True))
    config = {"audience": "a"}
    assert told["spec"] == {
        "interactive": True,
        "cluster": {"server": "https://h", "certificate-authority-data": "Q0E=", "config": config},
    }


def answer(status: Any, version: str = V1, kind: str = "ExecCredential") -> bytes:
    return json.dumps({"apiVersion": version, "kind": kind, "status": status}).encode()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (b"no json", "decoding stdout"),
        (b"[]", "decoding stdout: it is no ExecCredential"),
        (answer({"token": "t"}, kind="Token"), "decoding stdout: it is no ExecCredential"),
        (answer({"token": "t"}, V1BETA1), f"use API version {V1}, plugin returned version {V1BETA1}"),
        (answer(None), "exec plugin didn't return a status field"),
        (answer({}), "exec plugin didn't return a token or cert/key pair"),
        (answer({"clientKeyData": "k"}), "exec plugin returned only certificate or key, not both"),
        (answer({"token": 1}), "status.token is no string"),
        (answer({"token": "t", "expirationTimestamp": "soon"}), "decoding stdout"),
    ],
)
def test_answers_that_are_no_credentials(output: bytes, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        credential(output, V1)


def test_credentials() -> None:
    assert credential(answer({"token": "t"}), V1) == Credential("t")
    until = credential(answer({"token": "t", "expirationTimestamp": "2026-01-01T00:00:00Z"}), V1)
    end = datetime(2026, 1, 1, tzinfo=UTC)
    assert not until.expired(end) and until.expired(end + timedelta(seconds=1))
    assert not Credential("t").expired(datetime.max.replace(tzinfo=UTC))


def script(folder: Path, body: str) -> str:
    path = folder / "plugin.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return str(path)


def counting(folder: Path, expires: datetime | None = None) -> str:
    """Gives t1, t2, ... of one run after the other."""
    end = f', \\"expirationTimestamp\\": \\"{expires:%Y-%m-%dT%H:%M:%SZ}\\"' if expires is not None else ""
    return script(
        folder,
        f"""echo run >> {folder}/runs
n=$(wc -l < {folder}/runs)
echo "{{\\"apiVersion\\": \\"{V1}\\", \\"kind\\": \\"ExecCredential\\", \\"status\\": {{\\"token\\": \\"t$n\\"{end}}}}}" """,
    )


def test_it_is_run_again_when_it_expires_or_is_refused_and_once_for_all(tmp_path: Path) -> None:
    plugin = ExecPlugin(ExecConfig(counting(tmp_path, NOW + timedelta(hours=1))))

    async def main() -> list[str]:
        config = Config("http://x", exec_plugin=plugin)
        tokens = await asyncio.gather(*(config.authorization(NOW) for _ in range(5)))
        tokens.append(await config.authorization(NOW + timedelta(minutes=59)))
        tokens.append(await config.authorization(NOW + timedelta(hours=2)))
        assert config.rejected("Bearer t2") and config.rejected("Bearer t1")
        tokens.append(await config.authorization(NOW))
        return tokens

    assert asyncio.run(main()) == ["Bearer t1"] * 6 + ["Bearer t2", "Bearer t3"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("exit 3", "failed with exit code 3"),
        ("cat /dev/zero", "it is longer than"),
        ("true", "decoding stdout"),
    ],
)
def test_a_plugin_that_fails_is_a_request_that_fails(tmp_path: Path, body: str, message: str) -> None:
    """As a server that is away: whoever asks tries again, and no part ends."""
    config = Config("http://x", exec_plugin=ExecPlugin(ExecConfig(script(tmp_path, body))))
    with pytest.raises(ConnectionError, match=f"getting credentials: .*{message}"):
        asyncio.run(config.authorization(NOW))


def test_one_that_is_missing_is_told_with_its_hint(tmp_path: Path) -> None:
    config = Config("http://x", exec_plugin=ExecPlugin(ExecConfig("/nothing/here", install_hint="Install it.")))
    with pytest.raises(ConfigError, match=r"(?s)exec: executable /nothing/here not found.*not installed.*Install it\."):
        asyncio.run(config.authorization(NOW))


def test_arguments_and_environment_of_a_kubeconfig(tmp_path: Path) -> None:
    body = """printf '{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential",'
printf ' "status": {"token": "%s-%s"}}' "$1" "$FROM" """
    script(tmp_path, body)
    plugin = {
        "apiVersion": V1BETA1,
        "command": "./plugin.sh",
        "args": ["a"],
        "env": [{"name": "FROM", "value": "b"}],
    }
    document = {
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": "http://h"}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    assert asyncio.run(kubeconfig.load(tmp_path / "config").authorization(NOW)) == "Bearer a-b"


def test_other_credentials_win(tmp_path: Path) -> None:
    config = Config("http://x", token="t", exec_plugin=ExecPlugin(ExecConfig("/nothing/here")))
    assert asyncio.run(config.authorization(NOW)) == "Bearer t"


def test_a_certificate_of_a_plugin_is_the_next_connections(tmp_path: Path) -> None:
    async def main() -> None:
        authority = Authority.create("ca", NOW)
        write(tmp_path / "ca.crt", authority.pem)
        server_pair = authority.issue(Subject("s", names=("localhost",), server=True, client=False), NOW)
        shown: list[bytes | None] = []

        async def handle(request: Request) -> Response:
            shown.append(request.peer_certificate)
            return Response(200, [], b"{}")

        server = await serve(handle, ssl_context=ServerContext(server_pair, authorities=[tmp_path / "ca.crt"]))

        def give() -> None:
            pair = authority.issue(Subject("u"), NOW)
            status = {"clientCertificateData": pair.certificate.decode(), "clientKeyData": pair.key.decode()}
            write(tmp_path / "answer", answer(status))

        give()
        plugin = ExecPlugin(ExecConfig(script(tmp_path, f"cat {tmp_path}/answer")))
        config = Config(f"https://localhost:{server.port}", ca_data=authority.pem, exec_plugin=plugin)
        client, another = RESTClient(config), RESTClient(config)
        try:
            await client.raw("GET", "/")
            await another.raw("GET", "/")
            give()
            config.rejected("")
            await another.raw("GET", "/")
            await client.raw("GET", "/")
        finally:
            await client.close()
            await another.close()
            await server.stop(0)
        first, again, renewed, last = shown
        assert None not in (first, renewed) and first == again != renewed == last

    assert http.FILES_SECONDS > 1  # it is not for a look at files that the last one came
    asyncio.run(main())
