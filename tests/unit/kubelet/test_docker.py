"""The Docker runtime against an engine of a few answers, on a unix socket."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pybernetes.kubelet.runtime import docker, dockerconfig, dockerstreams
from pybernetes.kubelet.runtime.docker import DockerRuntime
from pybernetes.kubelet.runtime.dockerapi import DockerError, DockerGone
from pybernetes.kubelet.runtime.types import (
    ContainerConfig,
    ExecResult,
    LogOptions,
    PortMapping,
    RuntimeFailure,
    SandboxConfig,
    Security,
)


class Engine:
    """Answers by (method, path without version and query) -> (status, body); keeps what it was asked."""

    def __init__(self, answers: dict[tuple[str, str], tuple[int, bytes]]) -> None:
        self._answers = {("GET", "/version"): (200, b'{"Version": "99", "MinAPIVersion": "1.24"}'), **answers}
        self.asked: list[tuple[str, str, bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except asyncio.IncompleteReadError:
            pass  # the client has left
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.decode().split("\r\n")[0].split(" ")
        fields = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n")[1:])
        body = await reader.readexactly(int(fields.get("Content-Length", 0)))
        path = target.partition("?")[0].removeprefix("/v1.41")
        self.asked.append((method, target, body))
        status, data = self._answers.get((method, path), (404, b'{"message": "no such thing"}'))
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )


def run(
    tmp_path: Path,
    answers: dict[tuple[str, str], tuple[int, bytes]],
    body: Callable[[DockerRuntime, Engine], Awaitable[None]],
) -> None:
    async def main() -> None:
        engine = Engine(answers)
        path = tmp_path / "docker.sock"
        server = await asyncio.start_unix_server(engine.serve, path)
        runtime = DockerRuntime(f"unix://{path}")
        try:
            await body(runtime, engine)
        finally:
            await runtime.close()
            server.close()
            await server.wait_closed()

    asyncio.run(main())


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(data)) + data


def test_errors_are_worded_as_dockers_client_words_them(tmp_path: Path) -> None:
    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        with pytest.raises(DockerError, match=r"^Error response from daemon: no such thing$"):
            await runtime.start_container("x")
        await runtime.stop_container("x", 1)  # what is gone is stopped
        await runtime.remove_container("x")
        assert await runtime.image_status("x") is None

    run(tmp_path, {}, body)


def test_an_engine_that_is_away(tmp_path: Path) -> None:
    async def main() -> None:
        runtime = DockerRuntime(f"unix://{tmp_path}/none.sock")
        with pytest.raises(DockerGone, match="Cannot connect to the Docker daemon"):
            await runtime.version()
        await runtime.close()

    asyncio.run(main())


def test_a_failing_pull_tells_what_the_registry_said(tmp_path: Path) -> None:
    lines = b'{"status": "Pulling"}\n{"error": "toomanyrequests: slow down"}\n'

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        with pytest.raises(RuntimeFailure, match="toomanyrequests"):
            await runtime.pull_image("h:5000/a/b:1", "secret")
        _, target, _ = engine.asked[-1]
        assert "fromImage=h%3A5000%2Fa%2Fb" in target and "tag=1" in target

    run(tmp_path, {("POST", "/images/create"): (200, lines)}, body)


def test_commands_and_their_output(tmp_path: Path) -> None:
    answers = {
        ("POST", "/containers/c/exec"): (201, b'{"Id": "e"}'),
        ("POST", "/exec/e/start"): (200, frame(1, b"out\n") + frame(2, b"err\n")),
        ("GET", "/exec/e/json"): (200, b'{"ExitCode": 3}'),
    }

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        result = await runtime.exec_sync("c", ["sh"], 5)
        assert (result.exit_code, result.output) == (3, b"out\nerr\n")

    run(tmp_path, answers, body)


def test_an_endless_output_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dockerstreams, "MAX_EXEC_OUTPUT", 10)
    answers = {
        ("POST", "/containers/c/exec"): (201, b'{"Id": "e"}'),
        ("POST", "/exec/e/start"): (200, frame(1, b"1234567") * 3),
        ("GET", "/exec/e/json"): (200, b'{"ExitCode": 0}'),
    }

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        assert await runtime.exec_sync("c", ["yes"], 5) == ExecResult(0, b"1234567123")

    run(tmp_path, answers, body)


def container(**more: Any) -> ContainerConfig:
    return ContainerConfig("c", 2, "i", log_path="c/2.log", **more)


def sandbox(logs: Path) -> SandboxConfig:
    return SandboxConfig("p", "ns", "u", 0, "p", log_directory=f"{logs}/ns_p_u")


STARTED = {
    ("POST", "/containers/create"): (201, b'{"Id": "x"}'),
    ("POST", "/containers/x/start"): (204, b""),
    ("GET", "/info"): (200, b'{"DockerRootDir": "/var/lib/docker", "CgroupDriver": "cgroupfs"}'),
}


def test_a_log_is_linked_where_collectors_look(tmp_path: Path) -> None:
    logs = tmp_path / "logs"

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        uid = await runtime.create_container("s", container(), sandbox(logs))
        await runtime.start_container(uid)
        assert os.readlink(logs / "ns_p_u/c/2.log") == "/var/lib/docker/containers/x/x-json.log"
        created = json.loads(next(b for _, target, b in engine.asked if "create" in target))
        assert created["Labels"]["io.kubernetes.container.logpath"] == f"{logs}/ns_p_u/c/2.log"

    run(tmp_path, STARTED, body)


REMOVED = {**STARTED, ("DELETE", "/containers/x"): (204, b"")}


def test_a_removed_container_takes_its_log_link_along(tmp_path: Path) -> None:
    """And the folders, once nothing else is in them: another attempt's log, another container's, a file of somebody else."""
    logs = tmp_path / "logs"

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        for left in ("", "ns_p_u/c/1.log", "ns_p_u/d/0.log", "mine.txt"):
            uid = await runtime.create_container("s", container(), sandbox(logs))
            await runtime.start_container(uid)
            if left:
                (logs / left).parent.mkdir(exist_ok=True)
                (logs / left).write_text("x")
            await runtime.remove_container(uid)
            assert sorted(str(p.relative_to(logs)) for p in logs.rglob("*") if not p.is_dir()) == (
                [left] if left else []
            )
            if left:
                (logs / left).unlink()
                for folder in sorted(logs.rglob("*"), reverse=True):
                    folder.rmdir()
        assert list(logs.iterdir()) == []

    run(tmp_path, REMOVED, body)


@pytest.mark.parametrize("put", ["file", "another's link", "folder's link"])
def test_what_is_no_log_link_of_its_own_stays(tmp_path: Path, put: str) -> None:
    """A pod that collects logs has put something else there meanwhile."""
    logs, outside = tmp_path / "logs", tmp_path / "outside"
    (outside / "c").mkdir(parents=True)
    (outside / "c/2.log").symlink_to("/x/x-json.log")

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        uid = await runtime.create_container("s", container(), sandbox(logs))
        await runtime.start_container(uid)
        link = logs / "ns_p_u/c/2.log"
        link.unlink()
        if put == "file":
            link.write_text("x")
        elif put == "another's link":
            link.symlink_to("/etc/passwd")
        else:
            link.parent.rmdir()
            link.parent.parent.rmdir()
            (logs / "ns_p_u").symlink_to(outside)
        await runtime.remove_container(uid)
        assert os.path.lexists(link) and os.path.lexists(outside / "c/2.log")

    run(tmp_path, REMOVED, body)


def test_a_log_collector_leads_the_kubelet_nowhere(tmp_path: Path) -> None:
    """A pod that mounts the logs' directory puts a link in the place of another's."""
    logs, outside = tmp_path / "logs", tmp_path / "outside"
    logs.mkdir()
    outside.mkdir()
    (logs / "ns_p_u").symlink_to(outside)

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        uid = await runtime.create_container("s", container(), sandbox(logs))
        with pytest.raises(RuntimeFailure, match="log link"):
            await runtime.start_container(uid)
        assert os.listdir(outside) == []

    run(tmp_path, STARTED, body)


def test_a_seccomp_profile_of_the_node(tmp_path: Path) -> None:
    profile = tmp_path / "p.json"
    profile.write_text('{ "defaultAction": "SCMP_ACT_ALLOW" }')

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        await runtime.create_container(
            "s", container(security=Security(seccomp=f"localhost/{profile}")), sandbox(tmp_path)
        )
        created = json.loads(engine.asked[-1][2])
        assert created["HostConfig"]["SecurityOpt"] == ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']
        with pytest.raises(RuntimeFailure, match="cannot load seccomp profile") as caught:
            await runtime.create_container(
                "s", container(security=Security(seccomp=f"localhost/{tmp_path}/none")), sandbox(tmp_path)
            )
        assert caught.value.reason == "CreateContainerError"

    run(tmp_path, STARTED, body)


def test_logs_without_frames_of_a_terminal(tmp_path: Path) -> None:
    async def read(runtime: DockerRuntime) -> bytes:
        return b"".join([piece async for piece in runtime.logs("c", LogOptions(tail=2))])

    for tty, data in ((True, b"as it is"), (False, frame(1, b"as ") + frame(2, b"it is"))):
        inspected = json.dumps({"Config": {"Tty": tty}}).encode()
        answers = {("GET", "/containers/c/json"): (200, inspected), ("GET", "/containers/c/logs"): (200, data)}

        async def body(runtime: DockerRuntime, engine: Engine) -> None:
            assert await read(runtime) == b"as it is"
            assert "tail=2" in engine.asked[-1][1]

        run(tmp_path, answers, body)


def entry(state: str) -> dict[str, Any]:
    labels = {
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.name": "c",
        "io.kubernetes.pod.uid": "u",
        "annotation.io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
    }
    return {"Id": "x", "Names": ["/k8s_c_p_ns_u_1"], "Labels": labels, "State": state, "Created": 0}


@pytest.mark.parametrize("put", ["link", "fifo", "directory", "nothing"])
def test_a_message_is_read_of_a_file_alone(tmp_path: Path, put: str) -> None:
    """What lies at the place of the termination message is read for anybody who sees the pod."""
    secret, place = tmp_path / "secret", tmp_path / "message"
    secret.write_text("s")
    match put:
        case "link":
            place.symlink_to(secret)
        case "fifo":
            os.mkfifo(place)
        case "directory":
            place.mkdir()
    assert docker._tail(str(place), 10) == ""


def test_an_ended_container_tells_its_message(tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_text("x" * 5000 + "why")
    state = {"Running": False, "Status": "exited", "OOMKilled": False, "ExitCode": 1, "Error": ""}
    times = {"StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "2026-01-01T00:00:01Z"}
    inspected = {
        "Id": "x",
        "Name": "/k8s_c_p_ns_u_1",
        "Created": "2026-01-01T00:00:00Z",
        "Image": "sha256:1",
        "State": {**state, **times},
        "Config": {"Image": "i", "Labels": entry("exited")["Labels"]},
        "Mounts": [{"Destination": "/dev/termination-log", "Source": str(message)}],
    }
    answers = {
        ("GET", "/containers/json"): (200, json.dumps([entry("exited")]).encode()),
        ("GET", "/containers/x/json"): (200, json.dumps(inspected).encode()),
    }

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        _, (found,) = await runtime.list("u")
        assert (found.state, found.attempt, found.exit_code) == ("exited", 1, 1)
        assert len(found.message) == 4096 and found.message.endswith("why")
        before = len(engine.asked)
        await runtime.list("u")
        assert len(engine.asked) == before + 1  # what has ended is not asked about again

    run(tmp_path, answers, body)


def test_a_sandbox_on_dockers_bridge_has_dockers_ports_and_addresses() -> None:
    pod = SandboxConfig("p", "ns", "u", 0, "p", ports=(PortMapping(80, 8080),))
    host = dockerconfig.sandbox_create(pod, "i", "", 0, bridged=True)["HostConfig"]
    assert host["NetworkMode"] == "default"
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert dockerconfig.sandbox_create(pod, "i", "", 0)["HostConfig"]["PortBindings"] == {}
    networks = {"bridge": {"IPAddress": "10.244.3.2", "GlobalIPv6Address": "fd00::2"}}
    assert dockerconfig.addresses({"NetworkSettings": {"Networks": networks}}) == ("10.244.3.2", "fd00::2")
    assert dockerconfig.addresses({"NetworkSettings": {"Networks": {"none": {"IPAddress": ""}}}}) == ()
