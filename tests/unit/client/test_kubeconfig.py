"""kubeconfig files: merging, errors, credentials."""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pybernetes.client import kubeconfig
from pybernetes.client.kubeconfig import Config, ConfigError, load
from pybernetes.deploy import kubeconfigfile
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ReloadingContext

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


def test_what_a_kubeconfig_holds_is_followed_and_what_it_names_besides_is_not(tmp_path: Path) -> None:
    def hold(authority: Authority, server: str) -> None:
        pair = authority.issue(Subject("u"), datetime.now(UTC))
        document = kubeconfigfile.with_certificate(server, authority.pem, "c", "u", pair)
        (tmp_path / "config").write_text(kubeconfigfile.text(document))

    one, other = (Authority.create("ca", datetime.now(UTC)) for _ in range(2))
    hold(one, "https://a:1")
    config = load(tmp_path / "config")
    context = config.ssl_context()
    assert isinstance(context, ReloadingContext)

    def trusted() -> list[str]:
        return [str(ca["serialNumber"]) for ca in context.current().get_ca_certs()]

    [first] = trusted()
    hold(other, "https://b:1")
    assert trusted() != [first] and config.server == "https://a:1"
    (tmp_path / "config").write_text("{")
    assert len(trusted()) == 1  # the last that fitted
    token = replace(config, certificate=None, key=None, token="t")
    hold(one, "https://a:1")
    assert trusted() == [first]
    assert token.ssl_context() is not None
