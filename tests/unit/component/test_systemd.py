"""What systemd is told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pybernetes.component import systemd


@pytest.mark.parametrize("prefix", ["", "@"])
def test_ready(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{address}" if prefix else address)
        monkeypatch.setenv("NOTIFY_SOCKET", prefix + address)
        systemd.notify(systemd.READY)
        assert manager.recv(100) == b"READY=1"


def test_nobody_asked_or_nobody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify(systemd.READY)
    assert caplog.text == ""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    systemd.notify(systemd.READY)
    assert "Failed to notify systemd the message READY=1" in caplog.text
