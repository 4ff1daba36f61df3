"""Command lines that people know from kubeadm: each is done, or refused by name with what to do instead.

The kind: "unknown flag" for what thousands of guides say to type. Inputs beside them: a pipe as --config, a version that this release
does not make, other runtimes' sockets, files of older versions, -v in all its spellings.
"""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pybernetes.api.version import KUBERNETES
from pybernetes.cli import deployflags
from pybernetes.cli.main import main
from pybernetes.cluster.assembly import discovery, removal
from pybernetes.component.command import Failure
from pybernetes.deploy import configtexts
from pybernetes.deploy.configuration import ConfigurationError, is_own_version, parse
from pybernetes.deploy.joinconfiguration import BootstrapTokenDiscovery, Discovery

PIN = f"sha256:{'0' * 64}"
TOKEN = "abcdef.0123456789abcdef"
V1BETA3 = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\napiServer: {extraArgs: {v: '2'}}\n"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("init --dry-run", "--dry-run is not done here: `pybernetes deploy cluster.yaml --dry-run` prints every file"),
        ("init --patches=/x", "--patches is not done here: extraArgs and extraVolumes"),
        ("init --rootfs /x", "--rootfs is not done here: run the command in that file system"),
        ("init --cri-socket=unix:///run/containerd/containerd.sock", "pods run on Docker here: leave it out"),
        ("init --feature-gates=EtcdLearnerMode=true", "EtcdLearnerMode is not a valid feature name."),
        ("init --kubernetes-version=v1.30.2", f"this release makes clusters of v{KUBERNETES}: leave it out"),
        ("init --certificate-key=beef", "invalid certificate key size 2"),
        (f"join 10.0.0.1:6443 --token {TOKEN} --dry-run", "--dry-run is not done here"),
        (f"join 10.0.0.1:6443 --token {TOKEN} --discovery-file=/x", "bootstrapToken and file cannot be used together"),
        ("join --discovery-file=/x --cri-socket=/run/crio/crio.sock", "pods run on Docker here"),
        (
            f"join 10.0.0.1:6443 --token {TOKEN} --ca-hash {PIN} --control-plane --certificate-key abc",
            "upload-certs --upload-certs",
        ),
        ("reset --dry-run", "--dry-run is not done here"),
        ("reset -f --skip-phases=remove-etcd-member", "--skip-phases is not done here: all of it is taken back"),
        ("token create --ttl=-5m", "must be greater than 0, or 0 for a token that never ends"),
        ("init --token-ttl=-1s", "must be greater than 0"),
        ("certs generate-csr", "put its ca.crt and the certificates that it has signed into --cert-dir"),
        ("config print init-defaults --component-configs=KubeletConfiguration", "--component-configs is not done here"),
        ("config migrate", "the --old-config flag is mandatory"),
        ("config migrate --old-config=/none", "--old-config=/none: No such file"),
        ("config validate", "the --config flag is mandatory"),
        ("version -o xml", "invalid output format: xml"),
    ],
)
def test_what_is_refused_says_what_to_do(line: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert text in said and said.count("\n") == 1


@pytest.mark.parametrize("verbosity", ["-v 5", "-v5", "-v=5", "--v=5", "--v 5"])
def test_how_much_is_said_can_be_asked_everywhere(verbosity: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "generate", *verbosity.split()]) == 0
    assert main(["version", *verbosity.split()]) == 0
    assert capsys.readouterr().err == ""


def test_what_has_no_effect_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "images", "list", "--image-repository=registry.example.com/x"]) == 0
    said = capsys.readouterr()
    assert "--image-repository has no effect here: images are packed on each host" in said.err
    assert said.out.splitlines()[0].startswith("pybernetes:")


@pytest.mark.parametrize(
    ("text", "own"),
    [
        (KUBERNETES, True),
        (f"v{KUBERNETES}", True),
        (f"v{KUBERNETES}+build", True),
        ("stable", True),
        ("stable-1", True),
        ("release/stable-1.37", True),
        ("latest", True),
        ("stable-1.20", False),
        ("v1.20.2", False),
        ("1.37", False),
        ("stable-1x37", False),
    ],
)
def test_which_version_is_asked_for(text: str, own: bool) -> None:
    assert is_own_version(text) is own


def test_a_configuration_comes_through_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several look at it."""
    deployflags._piped.cache_clear()
    monkeypatch.setattr("sys.stdin", io.StringIO("text"))
    assert [deployflags.config_text("-") for _ in range(2)] == ["text", "text"]
    deployflags._piped.cache_clear()


def test_defaults_can_be_read_again() -> None:
    assert parse(configtexts.init_defaults()).configuration.cluster.kubernetes_version == f"v{KUBERNETES}"
    for text in (configtexts.init_defaults(), configtexts.join_defaults(), configtexts.migrated(V1BETA3)):
        configtexts.check(text)
        assert "kubeadm.k8s.io/v1beta4" in text


def test_files_of_older_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(V1BETA3)
    assert main(["config", "migrate", f"--old-config={old}", f"--new-config={new}"]) == 0
    assert main(["config", "validate", f"--config={new}"]) == 0
    assert capsys.readouterr().out == "ok\n"
    assert parse(new.read_text()).configuration.cluster.api_server.extra_args[0].name == "v"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind: X",
        V1BETA3 + "foo: 1",
        V1BETA3.replace("v1beta3", "v1beta1"),
        V1BETA3 + "networking: {podSubnet: x}",
        f"{configtexts.join_defaults()}---\n{V1BETA3}foo: 1",
        configtexts.join_defaults().replace(TOKEN, "x"),
    ],
)
def test_files_that_cannot_be_used(text: str) -> None:
    with pytest.raises(ConfigurationError):
        configtexts.check(text)


def _docker(kept: Sequence[str], listed: dict[str, str]) -> object:
    removed = list[str]()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        if arguments[0] == "ls":
            return subprocess.CompletedProcess(arguments, 0, listed.get(arguments[-1], ""), "")
        removed.append(arguments[-1])
        stays = arguments[-1] in kept
        reason = "Error response from daemon: conflict: image is being used by running container 1\n" if stays else ""
        return subprocess.CompletedProcess(arguments, int(stays), "", reason)

    run.removed = removed  # type: ignore[attr-defined]  # what a test looks at
    return run


def test_images_that_docker_keeps_are_told() -> None:
    """Also those from before they had a label; each is removed by itself, so that one that stays keeps no other."""
    docker = _docker(["b"], {"--filter=label=io.pybernetes.image": "a\nb\n", "--filter=reference=pybernetes": "b\nc\n"})
    lines = removal.images_left(docker)  # type: ignore[arg-type]  # it is called as one
    assert docker.removed == ["a", "b", "c"]  # type: ignore[attr-defined]
    reason = "conflict: image is being used by running container 1"
    assert lines == [f"Image b stays: {reason}; `docker image rm b` removes it once nothing uses it"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name or service not known; give the API"),
        (None, "no answer in 0 s; give the API server's IP address"),
    ],
)
def test_a_name_that_nobody_knows_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, answer: socket.gaierror | None, text: str
) -> None:
    """Also where the resolver is silent, as on a host that has none."""
    ended = threading.Event()

    def look(host: str, port: object, type: int = 0) -> list[object]:
        if answer is not None:
            raise answer
        ended.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look)
    monkeypatch.setattr(discovery, "TRY_SECONDS", 0.05)
    given = BootstrapTokenDiscovery(token=TOKEN, api_server_endpoint="nobody.example:6443", ca_cert_hashes=[PIN])
    try:
        with pytest.raises(Failure, match=r"the name nobody\.example cannot be resolved") as caught:
            asyncio.run(discovery.discover(Discovery(bootstrap_token=given)))
    finally:
        ended.set()
    assert text in str(caught.value)
