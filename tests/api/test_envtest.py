"""`pybernetes envtest-assets`: envtest's calls, release by release, get what upstream's programs give."""

import http.client
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from pybernetes.cli import envtestassets
from pybernetes.envtest import etcd

from ..ports import free_port
from .envtest import HOST, POLL_SECONDS, RELEASES, START_SECONDS, ControlPlane, Release, control_plane

NEWEST = RELEASES[-1]
SETTINGS = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}'


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    folder = tmp_path_factory.mktemp("envtest") / "bin"
    assert envtestassets.main([str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def running(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(assets, tmp_path_factory.mktemp("plane"), NEWEST) as plane:
        yield plane


def created(plane: ControlPlane, folder: Path) -> None:
    (folder / "settings.json").write_text(SETTINGS)
    assert "created" in plane.kubectl("create", f"--filename={folder}/settings.json")


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_suite_starts_asks_and_ends(release: Release, assets: Path, tmp_path: Path) -> None:
    with control_plane(assets, tmp_path / "plane", release) as plane:
        assert "default" in plane.kubectl("get", "namespaces")
        created(plane, tmp_path)
        with socket.create_connection((HOST, plane.secure_port)):  # one that says nothing keeps no server from its end
            plane.server.stop()
        plane.start_server()
        assert "settings" in plane.kubectl("get", "configmaps"), "objects outlive the server, as in etcd"


def test_users_have_the_rights_of_their_certificates_and_no_others(running: ControlPlane) -> None:
    assert "jane" in running.kubectl("auth", "whoami", user="jane", groups=("developers",))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        running.kubectl("get", "secrets", user="jane", groups=())
    assert 'User "jane" cannot list resource "secrets"' in refused.value.stderr
    running.kubectl("create", "serviceaccount", "default")  # no controller makes it
    assert running.kubectl("create", "token", "default").count(".") == 2


def test_suites_side_by_side_have_nothing_in_common(running: ControlPlane, assets: Path, tmp_path: Path) -> None:
    with control_plane(assets, tmp_path, NEWEST) as other:
        created(running, tmp_path)
        assert "settings" in running.kubectl("get", "configmaps")
        assert "settings" not in other.kubectl("get", "configmaps")


def test_objects_are_in_a_real_etcd_where_one_is_wanted(tmp_path: Path, assets: Path) -> None:
    real = shutil.which("etcd")
    if real is None:
        pytest.skip("etcd is not installed")
    folder = tmp_path / "bin"
    assert envtestassets.main([str(folder), f"--etcd={real}"]) == 0
    with control_plane(folder, tmp_path, NEWEST) as plane:
        created(plane, tmp_path)
        assert not list(plane.data.glob("*.db"))
        assert (plane.data / "member").is_dir()


def self_signed(folder: Path, name: str, **subject: Any) -> None:
    """A certificate that signs itself, of the first version's kind: no extension says what it is for."""
    key = rsa.generate_private_key(65537, 2048)
    parts = [
        x509.NameAttribute(oid, subject[word])
        for word, oid in (("O", NameOID.ORGANIZATION_NAME), ("CN", NameOID.COMMON_NAME))
        if word in subject
    ]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(x509.Name(parts), x509.Name(parts), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    if name == "apiserver":
        names = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("kubernetes")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


def test_fabric8s_calls(assets: Path, tmp_path: Path) -> None:
    """As its kube-api-test makes them (process/EtcdProcess, KubeAPIServerProcess, ProcessReadinessChecker; cert/CertManager)."""
    self_signed(tmp_path, "apiserver", CN="example.org")
    self_signed(tmp_path, "client", O="system:masters", CN="kubeapitest")
    port, peer, secure = free_port(), free_port(), free_port()
    etcd_url, key = f"http://0.0.0.0:{port}", f"{tmp_path}/apiserver.key"
    etcd_words = ["-data-dir", f"{tmp_path}/data", "-wal-dir", f"{tmp_path}/wal", "--listen-client-urls", etcd_url]
    etcd_words += ["--advertise-client-urls", etcd_url, "--initial-cluster", f"default=http://localhost:{peer}"]
    etcd_words += [
        "--initial-advertise-peer-urls",
        f"http://localhost:{peer}",
        "--listen-peer-urls",
        f"http://localhost:{peer}",
    ]
    words = ["--cert-dir", str(tmp_path), "--secure-port", str(secure), "--etcd-servers", etcd_url]
    words += ["--authorization-mode", "RBAC", "--service-account-issuer", "https://localhost"]
    words += 2 * ["--service-account-signing-key-file", key]
    words += ["--service-account-key-file", key, "--service-account-issuer", f"{tmp_path}/apiserver.crt"]
    words += ["--disable-admission-plugins", "ServiceAccount", "--client-ca-file", f"{tmp_path}/client.crt"]
    words += ["--service-cluster-ip-range", "10.0.0.0/24", "--allow-privileged"]
    kubectl = [assets / "kubectl", f"--client-certificate={tmp_path}/client.crt", f"--client-key={tmp_path}/client.key"]
    kubectl += [f"--certificate-authority={tmp_path}/apiserver.crt", f"--server=https://{HOST}:{secure}"]
    with ExitStack() as running:

        def start(program: str, *arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen([assets / program, *arguments], text=True, stderr=subprocess.PIPE)
            running.callback(process.communicate)
            running.callback(process.kill)
            return process

        def until(process: subprocess.Popen[str], answers: Callable[[], bool]) -> None:
            end = time.monotonic() + START_SECONDS
            while not answers():
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < end
                time.sleep(POLL_SECONDS)

        def healthy() -> bool:
            try:
                with urllib.request.urlopen(f"http://{HOST}:{port}/health") as answer:
                    return answer.status == 200
            except OSError:
                return False

        def asked(*arguments: str) -> bool:
            environment = {**os.environ, "KUBECONFIG": f"{tmp_path}/.kubeconfig"}
            done = subprocess.run([*kubectl, "--request-timeout=5s", *arguments], env=environment, capture_output=True)
            return done.returncode == 0

        until(start("etcd", *etcd_words), healthy)
        until(start("kube-apiserver", *words), lambda: asked("get", "ns", "default"))
        assert asked("create", "configmap", "settings") and not asked("create", "configmap", "settings")


def test_the_port_without_tls_is_the_administrators_whatever_is_shown(assets: Path, tmp_path: Path) -> None:
    with control_plane(assets, tmp_path, RELEASES[1]) as plane:
        connection = http.client.HTTPConnection(HOST, plane.port, timeout=20)
        connection.request("GET", "/api/v1/nodes", headers={"Authorization": "Bearer none"})
        assert connection.getresponse().status == 200
        connection.close()


def test_nobody_at_etcd_servers_is_one_line(assets: Path) -> None:
    url = f"http://{HOST}:{free_port()}"
    done = subprocess.run([assets / "kube-apiserver", f"--etcd-servers={url}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"kube-apiserver: --etcd-servers={url}: Connection refused\n")


def test_a_data_directory_and_a_port_have_one_etcd(
    running: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert etcd.main([f"--data-dir={running.data}", f"--listen-client-urls=http://{HOST}:{free_port()}"]) == 1
    assert "another etcd uses it" in capsys.readouterr().err
    assert etcd.main([f"--data-dir={tmp_path}/other", f"--listen-client-urls={running.etcd_url}"]) == 1
    assert "Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--listen-client-urls=https://localhost:1"], "speaks no TLS"),
        (["--listen-client-urls=http://localhost:1,http://localhost:2"], "want one http://HOST:PORT"),
        (["--listen-client-urls=unix://x"], "want one http://HOST:PORT"),
        (["--experimental-nothing"], "unknown flag: --experimental-nothing"),
        (
            ["--listen-client-urls=http://localhost:1", "--data-dir=/dev/null/x"],
            "--data-dir=/dev/null/x: Not a directory",
        ),
    ],
)
def test_etcds_refusals(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert etcd.main(flags) in (1, 2)
    text = capsys.readouterr().err
    assert message in text and text.count("\n") == 1


def test_without_kubectl_its_wrapper_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert envtestassets.main([str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"export KUBEBUILDER_ASSETS={tmp_path}\n" and "kubectl was not installed" in said.err
    assert envtestassets.main([str(tmp_path)]) == 0, "the wrapper of before is no kubectl"
    done = subprocess.run([tmp_path / "kubectl", "version"], capture_output=True, text=True)
    assert done.returncode == 1 and "--kubectl=PATH" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "want the folder to write to"),
        (["a", "b"], "want the folder to write to"),
        (["a", "--etcd=/none/etcd"], "--etcd=/none/etcd: there is no such program"),
        (["/dev/null/a"], "/dev/null/a: Not a directory"),
    ],
)
def test_assets_refusals(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert envtestassets.main(arguments) in (1, 2)
    assert message in capsys.readouterr().err


def test_the_stand_in_has_nothing_of_etcds_own(running: ControlPlane) -> None:
    connection = http.client.HTTPConnection(running.etcd_url.removeprefix("http://"), timeout=20)
    connection.request("GET", "/v3/kv/range")
    answer = connection.getresponse()
    assert answer.status == 404 and "stands in for etcd" in json.loads(answer.read())["error"]
    connection.close()
