"""The project's own image on a Docker engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.cluster.image import ImageInfo, build

from .engine import endpoint


def docker(*arguments: str) -> str:
    """The output of a docker command that succeeds."""
    done = subprocess.run(["docker", "-H", endpoint(), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageInfo]:
    made = build(tmp_path_factory.mktemp("image"))
    there = docker("images", "--no-trunc", "--format={{.ID}}").split()  # a running cluster's, it may be
    docker("load", "-q", "-i", str(made.path))
    yield made
    if made.id not in there:
        docker("rmi", "-f", made.id)


def run(image: ImageInfo, *arguments: str, options: tuple[str, ...] = ()) -> str:
    return docker("run", "--rm", "--network=none", *options, image.id, *arguments)


def test_docker_names_it_as_we_do(image: ImageInfo) -> None:
    assert docker("image", "inspect", "--format={{.Id}}", image.name) == image.id


def test_its_entry_point_is_the_command(image: ImageInfo) -> None:
    assert run(image, "version").startswith("pybernetes ")
    assert run(image, "coredns", "--version").startswith("CoreDNS-pybernetes-")


def test_it_needs_no_rights_and_writes_nothing(image: ImageInfo) -> None:
    bare = ("--read-only", "--cap-drop=ALL", "--user=65532")
    assert run(image, "version", options=bare).startswith("pybernetes ")


def test_all_that_add_ons_import_is_there(image: ImageInfo) -> None:
    modules = "ssl, uvloop, httptools, msgspec, yaml, cryptography.x509, jwt, ctypes, decimal, zlib, lzma"
    parts = "pybernetes.dns.app, pybernetes.client.rest, pybernetes.component.serving"
    code = (
        f"import {modules}, {parts}; import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'] > 0)"
    )
    has_certificates = any(Path(p).exists() for p in ("/etc/ssl/certs/ca-certificates.crt",))
    assert run(image, "-c", code, options=("--entrypoint=/usr/bin/python3",)) == str(has_certificates)


def test_one_can_look_around_inside(image: ImageInfo) -> None:
    if not Path("/usr/bin/busybox").exists() and not Path("/bin/busybox").exists():
        pytest.skip("busybox-static is not installed")
    listed = run(image, "-c", "id -un; ls /usr/bin", options=("--entrypoint=/bin/sh",))
    assert listed.split() == ["root", "pybernetes", "python3"]
