"""Kernel settings, in a folder that stands for /proc/sys."""

from pathlib import Path

import pytest

from pybernetes.proxy import sysctl
from pybernetes.proxy.sysctl import NETFILTER, Conntrack


def put(root: Path, name: str, value: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value)
    return path


def test_only_what_is_asked_for_is_set(tmp_path: Path) -> None:
    established = put(tmp_path, f"{NETFILTER}nf_conntrack_tcp_timeout_established", "432000\n")
    close_wait = put(tmp_path, f"{NETFILTER}nf_conntrack_tcp_timeout_close_wait", "60\n")
    most = put(tmp_path, f"{NETFILTER}nf_conntrack_max", "65536\n")
    sysctl.apply(Conntrack(tcp_close_wait=0, max_per_core=1, minimum=100000), tmp_path)
    assert (established.read_text(), close_wait.read_text(), most.read_text()) == ("86400", "60\n", "100000")


def test_the_limit_is_only_raised(tmp_path: Path) -> None:
    put(tmp_path, f"{NETFILTER}nf_conntrack_tcp_timeout_established", "86400")
    put(tmp_path, f"{NETFILTER}nf_conntrack_tcp_timeout_close_wait", "3600")
    most = put(tmp_path, f"{NETFILTER}nf_conntrack_max", "9999999\n")
    sysctl.apply(Conntrack(), tmp_path)
    assert most.read_text() == "9999999\n"
    sysctl.apply(Conntrack(max_per_core=0), tmp_path)
    assert most.read_text() == "9999999\n"


def test_what_the_kernel_refuses_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not sysctl.ensure("net/nowhere/x", 1, tmp_path)
    assert caplog.messages == ["Failed to set sysctl net/nowhere/x to 1: No such file or directory"]
