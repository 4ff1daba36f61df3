"""`init phase`, `certs`, `kubeconfig` and `token generate` as a user runs them: exit codes, what is printed where, flags that exclude each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pybernetes.cli.main import main
from pybernetes.deploy import tokens
from pybernetes.pki.certificates import Leaf

CONFIGURATION = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {{name: m1}}
localAPIEndpoint: {{advertiseAddress: 10.0.0.11}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: 10.0.0.10:6443
certificatesDir: {folder}/pki
encryptionAlgorithm: ECDSA-P256
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "kubeadm.yaml"
    path.write_text(CONFIGURATION.format(folder=tmp_path))
    return f"--config={path}"


def ran(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """(stdout, stderr)."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    return capsys.readouterr()


def test_a_host_from_nothing_to_renewal(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory, none = f"--kubeconfig-dir={tmp_path}", f"--kubeconfig={tmp_path}/none"
    output, _ = ran(capsys, "init", "phase", "certs", "all", config)
    assert output.startswith(
        f'[certs] Using certificateDir folder "{tmp_path}/pki"\n[certs] Generating "ca" certificate and key\n'
    )
    output, _ = ran(capsys, "init", "phase", "kubeconfig", "all", config, directory)
    assert output.splitlines() == [
        f'[kubeconfig] Using kubeconfig folder "{tmp_path}"',
        *(
            f'[kubeconfig] Writing "{name}.conf" kubeconfig file'
            for name in ("admin", "super-admin", "kubelet", "controller-manager", "scheduler")
        ),
    ]
    (tmp_path / "super-admin.conf").unlink()
    output, _ = ran(capsys, "certs", "check-expiration", config, directory, none)
    lines = output.splitlines()
    assert lines[0].split("  ")[0] == "CERTIFICATE" and lines[11].rstrip() == "!MISSING! super-admin.conf"
    assert len(lines) == 1 + 11 + 1 + 1 + 3 and lines[13].startswith("CERTIFICATE AUTHORITY   EXPIRES")
    output, _ = ran(capsys, "certs", "check-expiration", config, directory, none, "-o", "json")
    found = json.loads(output)
    assert found["kind"] == "CertificateExpirationInfo" and len(found["certificateAuthorities"]) == 3
    assert [one["name"] for one in found["certificates"] if one["missing"]] == ["super-admin.conf"]

    before = Leaf.of((tmp_path / "pki/apiserver.crt").read_bytes())
    conf = (tmp_path / "admin.conf").read_text()
    output, _ = ran(capsys, "certs", "renew", "all", config, directory, none)
    assert (
        "certificate for serving the Kubernetes API renewed\n" in output
        and "MISSING! certificate embedded in the" in output
    )
    assert output.endswith("so that they can use the new certificates.\n")
    after = Leaf.of((tmp_path / "pki/apiserver.crt").read_bytes())
    assert (after.names, after.addresses) == (before.names, before.addresses) and after.ends >= before.ends
    renewed = (tmp_path / "admin.conf").read_text()
    assert renewed != conf and yaml.safe_load(renewed)["clusters"] == yaml.safe_load(conf)["clusters"]
    assert (tmp_path / "admin.conf").stat().st_mode & 0o777 == 0o600
    assert ran(capsys, "init", "phase", "certs", "all", config)[0].count("Using existing") == 10

    (tmp_path / "pki/ca.key").unlink()
    output, _ = ran(capsys, "certs", "renew", "apiserver", config, directory, none)
    assert output == "Detected external ca, certificate for serving the Kubernetes API can't be renewed\n"


def test_flags_name_the_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = f"--cert-dir={tmp_path}"
    ran(capsys, "init", "phase", "certs", "ca", folder)
    flags = [
        "--apiserver-advertise-address=10.1.0.1",
        "--control-plane-endpoint=api.example:8443",
        "--apiserver-cert-extra-sans=More.example,10.1.0.9",
        "--apiserver-cert-extra-sans=*.wild.example",
        "--service-dns-domain=k8s.example",
        "--service-cidr=10.32.0.0/16",
        "--node-name=M2",
    ]
    ran(capsys, "init", "phase", "certs", "apiserver", folder, *flags)
    leaf = Leaf.of((tmp_path / "apiserver.crt").read_bytes())
    assert set(leaf.names) == {
        "*.wild.example", "api.example", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
        "kubernetes.default.svc.k8s.example", "m2", "more.example",
    }  # fmt: skip
    assert leaf.addresses == ("10.32.0.1", "10.1.0.1", "10.1.0.9")


def test_a_user(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran(capsys, "init", "phase", "certs", "ca", config)
    output, errors = ran(capsys, "kubeconfig", "user", "--client-name=jane", "--org=dev", config)
    assert yaml.safe_load(output)["current-context"] == "jane@kubernetes" and errors == ""
    output, errors = ran(capsys, "kubeconfig", "user", "--client-name=jane", "--validity-period=9000h", config)
    assert errors.startswith("WARNING: the specified certificate validity period is longer than")


def test_keys_and_tokens_are_random(capsys: pytest.CaptureFixture[str]) -> None:
    first, again = (ran(capsys, "certs", "certificate-key")[0].strip() for _ in range(2))
    assert first != again and len(bytes.fromhex(first)) == 32
    first, again = (ran(capsys, "token", "generate")[0].strip() for _ in range(2))
    assert first != again and tokens.parsed(first)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("init phase certs apiserver --cert-dir={0} --node-name=m", 1, "error execution phase certs/apiserver: couldn't load CA certificate ca: "),
        ("init phase kubeconfig admin --cert-dir={0} --kubeconfig-dir={0}", 1, "error execution phase kubeconfig/admin: the CA files do not exist"),
        ("init phase certs ca --config={0}/none", 2, "--config={0}/none: No such file or directory"),
        ("init phase certs all --config=x --cert-dir={0} --node-name=a", 2, "can not mix '--config' with arguments [cert-dir]"),
        ("init phase certs ca --cert-dir=pki", 2, 'certificatesDir: Invalid value: "pki": path is not absolute'),
        ("init phase certs all --cert-dir={0} --apiserver-cert-extra-sans=a_b", 2, 'apiServer.certSANs: Invalid value: "a_b"'),
        ("init phase certs ca --service-cidr=10.0.0.0/16", 2, "unknown flag: --service-cidr"),
        ("init phase certs nothing", 2, 'invalid subcommand "nothing"; see pybernetes init phase certs --help'),
        ("init phase certs ca word", 2, "it takes flags only"),
        ("certs renew nothing", 2, 'invalid subcommand "nothing"'),
        ("certs check-expiration -oxml", 2, 'unable to match a printer suitable for the output format "xml"'),
        ("kubeconfig user --config={0}/x", 2, 'required flag(s) "client-name" not set'),
        ("kubeconfig user --client-name=a --kubeconfig={0}/none", 2, "the kubeadm configuration path cannot be empty"),
        ("token create abc", 2, 'the bootstrap token "abc" was not of the form'),
        ("token create a b", 2, "accepts at most 1 arg(s), received 2"),
        ("token create --usages=signing,baking", 2, "invalid bootstrap token usage string: baking, valid usage options: signing,authentication"),
        ("token create --groups=system:masters", 2, 'bootstrap group "system:masters" is invalid (must match'),
        ("token create --usages=signing", 2, 'token groups cannot be specified unless --usages includes "authentication"'),
        ("token create --ttl=1d", 2, 'invalid argument "1d" for "--ttl" flag: '),
        ("token create --certificate-key=ab", 2, "cannot use --certificate-key without --print-join-command"),
        ("token create --config={0}/x --ttl=1h", 2, "can not mix '--config' with arguments [ttl]"),
        ("token create --kubeconfig={0}/none", 1, "kubeconfig '{0}/none' does not exist"),
        ("token delete", 2, "missing argument; 'token delete' is missing token of form"),
        ("token delete abc --kubeconfig={0}/none", 2, "given token didn't match pattern"),
        ("token list --kubeconfig={0}/none", 1, "kubeconfig '{0}/none' does not exist"),
        ("token generate word", 2, "it takes flags only"),
    ],
)  # fmt: skip
def test_what_cannot_be_done(
    words: str, code: int, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, errors = ran(capsys, *words.format(tmp_path).split(), code=code)
    assert text.format(tmp_path) in errors and errors.count("\n") == 1 and "Traceback" not in errors
    assert "Generating" not in output


def test_a_flag_without_effect_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, errors = ran(capsys, "init", "phase", "certs", "ca", f"--cert-dir={tmp_path}", "--kubernetes-version=v1.37.0")
    assert errors.startswith("pybernetes init phase certs ca: --kubernetes-version has no effect here: ")
