"""`pybernetes kube-apiserver`: flags, files, and that nothing acknowledged is lost when it is killed."""

import http.client
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.testing.certificates import Authority

from ..ports import free_port
from .serverprocess import SECONDS, TOKENS, Running


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill()


PAIR = ("--tls-cert-file={crt}", "--tls-private-key-file={key}")
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def test_acknowledged_writes_survive_a_kill(running: Running) -> None:
    made = [running.ask("POST", CONFIG_MAPS, {"metadata": {"name": f"a-{n}"}}) for n in range(20)]
    running.kill()
    running.start()
    found = running.ask("GET", CONFIG_MAPS)["items"]
    assert {item["metadata"]["uid"] for item in found} == {obj["metadata"]["uid"] for obj in made}
    assert running.kill(signal.SIGTERM) == 0


def test_the_data_is_its_owners_alone_whatever_the_umask(running: Running, tmp_path: Path) -> None:
    def modes() -> dict[str, int]:
        running.ask("POST", CONFIG_MAPS, {"metadata": {"generateName": "a-"}})
        return {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}

    files = ("state.db", "state.db-wal", "state.db-shm", "state.db-lock", "state.db-reserve")
    closed = dict.fromkeys(files, 0o600)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert modes() == closed
    running.kill()
    for path in (tmp_path / "data").iterdir():
        path.chmod(0o644)  # as older releases left them
    running.start()
    assert modes() == closed


def test_wrong_token_is_unauthorized(running: Running) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        running.ask("GET", CONFIG_MAPS, token="wrong")
    assert refused.value.code == 401
    refused.value.close()


def test_certificates_that_are_replaced_are_followed_without_a_restart(running: Running, tmp_path: Path) -> None:
    """The server's own, and, by overlap, the authorities of its clients."""
    old, new = Authority("old", datetime.now(UTC)), Authority("new", datetime.now(UTC))
    running.kill(signal.SIGTERM)
    (tmp_path / "ca").write_bytes(old.pem)
    running.flags.append(f"--client-ca-file={tmp_path}/ca")
    running.start()
    trusted = new.pem.decode()

    def status(client: Authority) -> int:
        """401 where TLS or the server takes no such certificate."""
        pair = client.client("jane", [])
        (tmp_path / "client").write_bytes(pair.key + pair.certificate)
        context = ssl.create_default_context(cadata=trusted)
        context.load_cert_chain(tmp_path / "client")
        try:
            urllib.request.urlopen(f"https://127.0.0.1:{running.port}{CONFIG_MAPS}", context=context, timeout=10)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code
        except OSError:
            return 401
        return 200

    pair = new.serving(["localhost"], ["127.0.0.1"])
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    assert [status(old), status(new)] == [200, 401]
    (tmp_path / "ca").write_bytes(old.pem + new.pem)
    assert [status(old), status(new)] == [200, 200]
    standing = {authority: connection(running, authority, trusted, tmp_path) for authority in (old, new)}
    assert [answer(standing[authority]) for authority in (old, new)] == [200, 200]
    (tmp_path / "ca").write_bytes(new.pem)
    assert [status(old), status(new)] == [401, 200]
    time.sleep(1.1)  # for so long an authority that was taken out is taken still
    assert [answer(standing[authority]) for authority in (old, new)] == [401, 200]  # over connections that stand
    for one in standing.values():
        one.close()
    assert running.process.poll() is None


def connection(running: Running, client: Authority, trusted: str, folder: Path) -> http.client.HTTPSConnection:
    """One that stays open, of jane's."""
    pair = client.client("jane", [])
    (folder / "client").write_bytes(pair.key + pair.certificate)
    context = ssl.create_default_context(cadata=trusted)
    context.load_cert_chain(folder / "client")
    return http.client.HTTPSConnection("127.0.0.1", running.port, context=context, timeout=10)


def answer(standing: http.client.HTTPSConnection) -> int:
    standing.request("GET", "/version")
    found = standing.getresponse()
    found.read()
    return found.status


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tls-cert-file={crt}"], "--tls-cert-file and --tls-private-key-file are needed together"),
        (["--cert-dir="], "or --cert-dir alone"),
        (["--cert-dir=/dev/null/x"], "--cert-dir=/dev/null/x: File exists: choose another"),
        ([*PAIR, "--token-auth-file={tokens}", "--authorization-mode=Guess"], "not a valid mode"),
        ([*PAIR, "--token-auth-file={tokens}", "--authorization-mode=RBAC,RBAC"], "has mode specified more than once"),
        ([*PAIR, "--token-auth-file={tokens}", "--enable-admission-plugins=Nothing"], "'Nothing' is not known"),
        ([*PAIR, "--service-account-key-file={crt}"], "--service-account-issuer is needed"),
        ([*PAIR, "--service-account-key-file={tokens}", "--service-account-issuer=i"], "any valid RSA or ECDSA"),
        ([*PAIR, "--proxy-client-cert-file={crt}", "--proxy-client-key-file={tokens}"], "--proxy-client-cert-file"),
        ([*PAIR, "--requestheader-client-ca-file={crt}"], "needs --requestheader-username-headers"),
        (["--tls-cert-file=/none", "--tls-private-key-file=/none"], "cannot be used"),
        ([*PAIR, "--anonymous-auth=false"], "nobody could log in"),
        (["--secure-port=x"], 'invalid argument "x" for "--secure-port" flag'),
    ],
)
def test_refused_command_lines(flags: list[str], message: str, tmp_path: Path) -> None:
    pair = Authority("ca", datetime.now(UTC)).serving(["localhost"], [])
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    (tmp_path / "tokens").write_text(TOKENS)
    filled = [flag.format(**{name: tmp_path / name for name in ("crt", "key", "tokens")}) for flag in flags]
    command = [sys.executable, "-m", "pybernetes", "kube-apiserver", *filled]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_broken_token_file_names_the_line(running: Running, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKENS + "only-a-token\n")
    command = [sys.executable, "-m", "pybernetes", "kube-apiserver", *running.flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, "line 2" in done.stderr) == (2, True)


def test_used_port_and_foreign_data_are_one_line(running: Running, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pybernetes", "kube-apiserver", *running.flags]
    done = subprocess.run([*command, "--store=memory:"], capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, "--secure-port" in done.stderr) == (1, True)
    done = subprocess.run([*command, f"--secure-port={free_port()}"], capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert f"state.db' is in use by process {running.process.pid}: stop that one first" in done.stderr
    (tmp_path / "foreign.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    done = subprocess.run(
        [*command, f"--store=sqlite:{tmp_path}/foreign.db"], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
