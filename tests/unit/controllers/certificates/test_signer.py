"""The signer's CA: whose it is by the flags, and that it follows its files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.component import flags
from pybernetes.controllers.certificates.signer.controller import follow
from pybernetes.controllers.options import FLAGS, SIGNERS, options_from
from pybernetes.pki.certificates import Authority
from pybernetes.pki.files import write, write_pair

NOW = datetime.now(UTC)


def files(folder: Path, name: str) -> tuple[Path, Path]:
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    write_pair(*paths, Authority.create(name, NOW).pair)
    return paths


def test_a_ca_that_is_replaced_signs_what_comes_next(tmp_path: Path) -> None:
    """Between the writing of certificate and key the pair before stays."""
    certificate, key = files(tmp_path, "ca")
    followed = follow(certificate, key)
    first = followed.current()
    renewed = Authority.create("ca", NOW)
    write(certificate, renewed.pem)
    assert followed.current() is first
    write(key, renewed.pair.key)
    assert followed.current().pem == renewed.pem


def test_what_is_no_pair_is_refused_at_first(tmp_path: Path) -> None:
    certificate, _ = files(tmp_path, "a")
    _, key = files(tmp_path, "b")
    with pytest.raises(ValueError, match="is not the certificate's"):
        follow(certificate, key)


def test_each_signer_follows_its_own_files_or_the_clusters(tmp_path: Path) -> None:
    of_all, own = files(tmp_path, "all"), files(tmp_path, "own")
    arguments = [f"--cluster-signing-cert-file={of_all[0]}", f"--cluster-signing-key-file={of_all[1]}"]
    arguments += [
        f"--cluster-signing-kubelet-serving-cert-file={own[0]}",
        f"--cluster-signing-kubelet-serving-key-file={own[1]}",
    ]
    chosen = options_from(flags.parse("kube-controller-manager", FLAGS, arguments)).signer_files
    assert chosen == {signer: own if signer == "kubelet-serving" else of_all for signer in SIGNERS}
    assert options_from(flags.parse("kube-controller-manager", FLAGS, arguments[2:])).signer_files == {
        "kubelet-serving": own
    }
