"""kubeconfig files: merging, errors, credentials."""

import asyncio
import base64
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


@pytest.mark.parametrize("now_holds", ["", None, "\n"])
def test_a_token_file_that_gives_none_leaves_the_last_one(tmp_path: Path, now_holds: str | None) -> None:
    """Between two of a rotation: gone, empty, or only white space; a first one that is none is told."""
    file = tmp_path / "token"
    file.write_text("old")
    config = Config("http://x", token_file=file)

    async def ask() -> str:
        await config.authorization(NOW)
        if now_holds is None:
            file.unlink()
        else:
            file.write_text(now_holds)
        return await config.authorization(NOW + timedelta(hours=1))

    assert asyncio.run(ask()) == "Bearer old"
    with pytest.raises(ConnectionError, match="token"):
        asyncio.run(Config("http://x", token_file=file).authorization(NOW))


def test_a_token_file_wins_over_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of the file")
    config = kubeconfig.load(write(tmp_path, FILE.replace("tokenFile: token", "tokenFile: token, token: fixed")))
    assert asyncio.run(config.authorization(NOW)) == "Bearer of the file"
    (tmp_path / "token").unlink()
    config = kubeconfig.load(write(tmp_path, FILE.replace("tokenFile: token", "tokenFile: token, token: fixed")))
    assert asyncio.run(config.authorization(NOW)) == "Bearer fixed"
