"""Phases met with what is there already: used as it is, refused in kubeadm's words, or made where a kill left half of it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pybernetes.deploy import certificates, kubeconfigfile, kubeconfigs, phases
from pybernetes.deploy.configuration import Configuration
from pybernetes.deploy.phases import PhaseError
from pybernetes.pki import keys
from pybernetes.pki.certificates import Authority, Leaf, Subject, subject_of
from pybernetes.pki.files import Pair, write_pair

from .configurations import configuration

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ALGORITHM = "ECDSA-P256"  # for tests, which want many


def certs(found: Configuration, *names: str) -> list[str]:
    told: list[str] = []
    for name in names or certificates.BY_NAME:
        phases.make_certificate(found, certificates.BY_NAME[name], NOW, told.append)
    return told


def kubeconfig(found: Configuration, name: str = "admin", now: datetime = NOW) -> list[str]:
    told: list[str] = []
    directory = phases.folder(found).parent
    phases.make_kubeconfig(found, kubeconfigs.BY_NAME[name], directory, now, told.append)
    return told


@pytest.fixture
def found(tmp_path: Path) -> Configuration:
    return configuration(folder=tmp_path / "pki", algorithm=ALGORITHM)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_changes_nothing(found: Configuration, tmp_path: Path) -> None:
    first = certs(found)
    phases.make_service_account_key(found, first.append)
    for name in kubeconfigs.BY_NAME:
        first += kubeconfig(found, name)
    before = contents(tmp_path)
    again = certs(found)
    phases.make_service_account_key(found, again.append)
    for name in kubeconfigs.BY_NAME:
        again += kubeconfig(found, name)
    assert contents(tmp_path) == before
    assert all("Using " in line for line in again) and not any("Using " in line for line in first)


def test_algorithms_and_periods(tmp_path: Path) -> None:
    found = configuration(folder=tmp_path, algorithm="ECDSA-P384")
    found.cluster.certificate_validity_period, found.cluster.ca_certificate_validity_period = "48h", "96h"
    certs(found, "ca", "apiserver")
    key = keys.load_private((tmp_path / "apiserver.key").read_bytes())
    assert key.key_size == 384
    ends = [Leaf.of((tmp_path / f"{name}.crt").read_bytes()).ends for name in ("apiserver", "ca")]
    assert ends == [NOW + timedelta(hours=48), NOW + timedelta(hours=96)]


def test_external_etcd_has_its_own(tmp_path: Path) -> None:
    text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd: {external: {endpoints: ['http://e:2379']}}\n"
    told = certs(configuration(text, tmp_path, ALGORITHM))
    assert "[certs] External etcd mode: Skipping etcd/ca certificate authority generation" in told
    assert "[certs] External etcd mode: Skipping apiserver-etcd-client certificate generation" in told
    assert not (tmp_path / "etcd").exists() and not (tmp_path / "apiserver-etcd-client.crt").exists()


def foreign(folder: Path) -> None:
    pair = Authority.create("kubernetes", NOW).issue(Subject("kube-apiserver", server=True, client=False), NOW)
    write_pair(folder / "apiserver.crt", folder / "apiserver.key", pair)


def ended(folder: Path) -> None:
    authority = Authority.load(Pair((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes()))
    then = NOW - timedelta(days=3)
    pair = authority.issue(Subject("kube-apiserver", server=True, client=False), then, timedelta(days=1))
    write_pair(folder / "apiserver.crt", folder / "apiserver.key", pair)


def no_authority(folder: Path) -> None:
    authority = Authority.create("kubernetes", NOW)
    pair = authority.issue(Subject("kubernetes"), NOW)
    write_pair(folder / "ca.crt", folder / "ca.key", pair)


def others_key(folder: Path) -> None:
    (folder / "ca.key").write_bytes(Authority.create("kubernetes", NOW).pair.key)


def text_in(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text("text\n") and None


def missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


NO_CERTIFICATE = "data does not contain any valid RSA or ECDSA certificates"
NO_KEY = "data does not contain a valid RSA or ECDSA private key"
UNREADABLE = "couldn't load the certificate file {0}/%s: error reading {0}/%s: " + NO_CERTIFICATE
LOADING = (
    "failure loading ca certificate authority: failed to load key: couldn't load the private key file {0}/ca.key: "
)
NOT_SIGNED = "[certs] certificate apiserver not signed by CA certificate ca: x509: certificate "
NO_FRONT_PROXY = "couldn't load CA certificate front-proxy-ca: failure loading front-proxy-ca certificate authority: failed to load certificate: "
REFUSED: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("apiserver", "apiserver", foreign, NOT_SIGNED + "signed by unknown authority"),
    (
        "apiserver",
        "apiserver",
        ended,
        NOT_SIGNED + "has expired or is not yet valid: current time 2026-11-30T12:00:00Z is after 2026-11-28T12:00:00Z",
    ),
    ("apiserver", "apiserver", text_in("apiserver.crt"), UNREADABLE % ("apiserver.crt", "apiserver.crt")),
    ("ca", "ca", text_in("ca.crt"), UNREADABLE % ("ca.crt", "ca.crt")),
    ("ca", "ca", text_in("ca.key"), LOADING + "error reading private key file {0}/ca.key: " + NO_KEY),
    ("ca", "ca", no_authority, "ca certificate is not a certificate authority"),
    (
        "ca",
        "ca",
        others_key,
        "unable to sign certificate: x509: provided PrivateKey doesn't match parent's PublicKey: ca",
    ),
    (
        "apiserver-kubelet-client",
        "ca",
        missing("ca.key"),
        "couldn't load CA certificate ca: " + LOADING + "open {0}/ca.key: no such file or directory",
    ),
    (
        "front-proxy-client",
        "ca",
        lambda folder: None,
        NO_FRONT_PROXY
        + "couldn't load the certificate file {0}/front-proxy-ca.crt: open {0}/front-proxy-ca.crt: no such file or directory",
    ),
]


@pytest.mark.parametrize(
    ("phase", "before", "change", "text"), REFUSED, ids=lambda value: getattr(value, "__name__", "") or str(value)[:40]
)
def test_what_is_refused(
    phase: str, before: str, change: Callable[[Path], None], text: str, found: Configuration
) -> None:
    certs(found, "ca", before)
    folder = phases.folder(found)
    change(folder)
    present = contents(folder)
    with pytest.raises(PhaseError) as raised:
        certs(found, phase)
    assert str(raised.value) == text.format(folder)
    assert contents(folder) == present  # nothing of the user's is replaced, and nothing half-made is left


def test_an_authority_that_ended_is_used_with_a_warning(found: Configuration, caplog: pytest.LogCaptureFixture) -> None:
    folder = phases.folder(found)
    old = Authority.create("kubernetes", NOW - timedelta(days=3), timedelta(days=1))
    write_pair(folder / "ca.crt", folder / "ca.key", old.pair)
    with caplog.at_level(logging.WARNING):
        assert certs(found, "ca") == ["[certs] Using existing ca certificate authority"]
    assert "could not validate bounds for certificate ca: current time" in caplog.text


@pytest.mark.parametrize("file", ["ca", "apiserver", "etcd/peer"])
def test_a_kill_between_key_and_certificate(file: str, found: Configuration) -> None:
    certs(found)
    folder = phases.folder(found)
    key = (folder / f"{file}.key").read_bytes()
    (folder / f"{file}.crt").unlink()
    name = next(one.name for one in certificates.CERTIFICATES if one.file == file)
    assert f'[certs] Generating "{file}" certificate and key' in certs(found, name)
    assert (folder / f"{file}.key").read_bytes() == key
    assert keys.match(Pair((folder / f"{file}.crt").read_bytes(), key))
    if file == "ca":
        certs(found)  # all that it signed is still its own: the key is the same


def test_an_authority_whose_key_is_elsewhere(found: Configuration) -> None:
    certs(found, "ca", "apiserver")
    folder = phases.folder(found)
    kubeconfig(found)
    (folder / "ca.key").unlink()
    told = certs(found, "ca", "apiserver")
    assert told == [
        "[certs] Using existing ca keyless certificate authority",
        "[certs] Using existing apiserver certificate and key on disk",
    ]
    assert kubeconfig(found) == ["[kubeconfig] External CA mode: Using user provided admin.conf"]
    with pytest.raises(
        PhaseError,
        match=r"the scheduler.conf file does not exists or it is not valid: stat .*scheduler.conf: no such file",
    ):
        kubeconfig(found, "scheduler")


def test_a_chain_is_verified_over_its_intermediates(found: Configuration) -> None:
    """As of an apiserver.crt that an authority below the cluster's has signed, with that one behind it."""
    root, between = Authority.create("kubernetes", NOW), Authority.create("between", NOW)
    middle = signed_authority(root, between)
    leaf = between.issue(Subject("kube-apiserver", server=True, client=False), NOW)
    folder = phases.folder(found)
    write_pair(folder / "ca.crt", folder / "ca.key", root.pair)
    write_pair(folder / "apiserver.crt", folder / "apiserver.key", Pair(leaf.certificate + middle, leaf.key))
    assert certs(found, "apiserver") == ["[certs] Using existing apiserver certificate and key on disk"]
    write_pair(folder / "apiserver.crt", folder / "apiserver.key", leaf)
    with pytest.raises(PhaseError, match="signed by unknown authority"):
        certs(found, "apiserver")


def signed_authority(root: Authority, between: Authority) -> bytes:
    """The certificate of `between`, signed by the root."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    own = between.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(root.certificate.subject)
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
    )
    return root.sign(builder).public_bytes(serialization.Encoding.PEM)


def test_a_service_account_key_is_never_replaced(found: Configuration) -> None:
    folder = phases.folder(found)
    phases.make_service_account_key(found, lambda line: None)
    key = (folder / "sa.key").read_bytes()
    (folder / "sa.pub").unlink()  # as after a kill between the two
    told: list[str] = []
    phases.make_service_account_key(found, told.append)
    assert told == ['[certs] Using the existing "sa" key'] and (folder / "sa.key").read_bytes() == key
    assert (folder / "sa.pub").read_bytes() == keys.public_of(key)
    (folder / "sa.key").write_text("text")
    with pytest.raises(PhaseError, match=r"^file sa.key existed but it could not be loaded properly: "):
        phases.make_service_account_key(found, told.append)


def with_other_ca(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    other = kubeconfigfile.with_certificate("https://s", Authority.create("x", NOW).pem, "c", "u", Pair(b"", b""))
    document["clusters"][0]["cluster"] = other["clusters"][0]["cluster"]
    path.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (with_other_ca, 'a kubeconfig file "{0}" exists already but has got the wrong CA cert'),
        (lambda path: path.write_text("{}"), "failed to find CurrentContext in Contexts of the kubeconfig file {0}"),
        (lambda path: path.write_text("- 1"), "failed to find CurrentContext in Contexts of the kubeconfig file {0}"),
        (lambda path: path.write_text("{"), "failed to load kubeconfig file {0} that already exists on disk: "),
    ],
)
def test_kubeconfigs_that_are_refused(
    change: Callable[[Path], object], text: str, found: Configuration, tmp_path: Path
) -> None:
    certs(found, "ca")
    kubeconfig(found)
    path = tmp_path / "admin.conf"
    change(path)
    before = path.read_text()
    with pytest.raises(PhaseError) as raised:
        kubeconfig(found)
    assert str(raised.value).startswith(text.format(path)) and path.read_text() == before


def test_a_kubeconfig_of_another_address_is_used_with_a_warning(
    found: Configuration, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certs(found, "ca")
    kubeconfig(found)
    found.cluster.control_plane_endpoint = "api.example:7443"
    assert kubeconfig(found) == [f'[kubeconfig] Using existing kubeconfig file: "{tmp_path}/admin.conf"']
    assert "unexpected API Server URL: expected: https://api.example:7443, got: https://10.0.0.10:6443" in caplog.text


def test_a_kubeconfig_needs_the_authority(found: Configuration) -> None:
    with pytest.raises(
        PhaseError, match=r"^the CA files do not exist, please run `pybernetes init phase certs ca` to generate it: "
    ):
        kubeconfig(found)


def test_the_kubelet_may_be_sent_to_the_balancer(found: Configuration, tmp_path: Path) -> None:
    certs(found, "ca")
    found.cluster.feature_gates = {"ControlPlaneKubeletLocalMode": False}
    kubeconfig(found, "kubelet")
    assert "server: https://10.0.0.10:6443" in (tmp_path / "kubelet.conf").read_text()


def test_a_further_user(found: Configuration) -> None:
    certs(found, "ca")
    text = phases.user_kubeconfig(found, Subject("jane", ("dev",)), "", timedelta(hours=2), NOW)
    cluster, user = kubeconfigfile.current(yaml.safe_load(text)) or ({}, {})
    assert cluster["server"] == "https://10.0.0.10:6443"
    import base64

    pem = base64.b64decode(user["client-certificate-data"])
    assert subject_of(pem) == Subject("jane", ("dev",), (), ()) and Leaf.of(pem).ends == NOW + timedelta(hours=2)
    text = phases.user_kubeconfig(found, Subject("jane"), "secret", timedelta(hours=2), NOW)
    assert (kubeconfigfile.current(yaml.safe_load(text)) or ({}, {}))[1] == {"token": "secret"}


def test_a_full_disk_leaves_what_was_there(found: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    certs(found, "ca")
    folder = phases.folder(found)
    before = contents(folder)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        certs(found, "apiserver")
    monkeypatch.undo()
    kept = {path: data for path, data in contents(folder).items() if not path.endswith(".new")}
    assert kept == before
    shutil.rmtree(folder / "etcd", ignore_errors=True)
    assert certs(found, "apiserver")[0] == '[certs] Generating "apiserver" certificate and key'
