"""kubeconfig files: merging, errors, credentials."""

import asyncio
import base64
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pybernetes.client import kubeconfig
from pybernetes.client.kubeconfig import Config, ConfigError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILE = f"""
apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: k, cluster: {{server: "https://x:6443", certificate-authority-data: {base64.b64encode(b"CA").decode()}}}}}]
users: [{{name: u, user: {{tokenFile: token}}}}]
contexts: [{{name: c, context: {{cluster: k, user: u, namespace: n}}}}, {{name: broken, context: {{cluster: none}}}}]
"""


def write(folder: Path, text: str = FILE) -> Path:
    path = folder / "config"
    path.write_text(text)
    return path


def test_context_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    config = kubeconfig.load(write(tmp_path))
    assert (config.server, config.namespace, config.ca_data) == ("https://x:6443", "n", b"CA")
    assert asyncio.run(config.authorization(NOW)) == "Bearer secret"


@pytest.mark.parametrize("hours", [1, -1])
def test_token_file_is_read_again_when_the_clock_has_jumped(tmp_path: Path, hours: int) -> None:
    """Else a token that was kept would be kept for an hour longer than it lives."""
    file = tmp_path / "token"
    file.write_text("old")
    config = Config("http://x", token_file=file)

    async def ask() -> str:
        await config.authorization(NOW)
        file.write_text("new")
        return await config.authorization(NOW + timedelta(hours=hours))

    assert asyncio.run(ask()) == "Bearer new"


def test_token_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    config = Config(server="http://x", token_file=token)

    async def main() -> list[str]:
        first = await config.authorization(NOW)
        token.write_text("two")
        return [first, await config.authorization(NOW), await config.authorization(NOW + timedelta(minutes=1))]

    assert asyncio.run(main()) == ["Bearer one", "Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    ("text", "context", "message"),
    [
        (FILE, "none", "context 'none' is not in the kubeconfig"),
        (FILE, "broken", "cluster 'none' is not in the kubeconfig"),
        (FILE.replace("server", "serve"), "", "has no server"),
        ("a: [", "", "cannot be read"),
    ],
)
def test_refusals(tmp_path: Path, text: str, context: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kubeconfig.load(write(tmp_path, text), context)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        kubeconfig.load(tmp_path / "nothing")


def test_exec_plugin() -> None:
    script = 'import json; print(json.dumps({"kind": "ExecCredential", "status": {"token": "t1"}}))'
    config = Config(server="http://x", exec_plugin={"command": sys.executable, "args": ["-c", script]})
    assert asyncio.run(config.authorization(NOW)) == "Bearer t1"


def test_missing_exec_plugin_names_the_hint() -> None:
    config = Config(server="http://x", exec_plugin={"command": "/nothing/here", "installHint": "Install it."})
    with pytest.raises(ConfigError, match=r"'/nothing/here' cannot be run: .* Install it\."):
        asyncio.run(config.authorization(NOW))
