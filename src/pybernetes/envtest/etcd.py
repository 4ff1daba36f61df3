"""Stands in for etcd in a suite of envtest's: it listens, says that it is well, and holds the data directory.

The API server keeps its objects in a file there (`where.py`), so that they outlive it as they would in etcd, and end with the directory. It speaks
none of etcd's own protocol: who reads etcd's keys wants the real one (`pybernetes envtest-assets --etcd=PATH`).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from pybernetes.component import flags
from pybernetes.component.flags import Flag, FlagError, HelpAsked

from . import where

PROGRAM = "etcd"
LOCK = "lock"
READ_SECONDS = 10.0  # for a request's head; who says nothing is cut off
# etcd writes it on stderr, and envtest waits for its first words until controller-runtime 0.8.
SERVING = "serving insecure client requests on %s, this is strongly discouraged!"
ALONE = "the stand-in has no other members"

FLAGS = (
    Flag("data-dir", flags.string, "default.etcd", "Where the API server's objects are kept."),
    Flag("listen-client-urls", flags.strings, ["http://localhost:2379"], "The address to listen on: http://HOST:PORT."),
    flags.ignored("advertise-client-urls", flags.strings, ALONE),
    flags.ignored("listen-peer-urls", flags.strings, ALONE),
    flags.ignored("initial-advertise-peer-urls", flags.strings, ALONE),
    flags.ignored("initial-cluster", flags.string, ALONE),
    flags.ignored("name", flags.string, ALONE),
    flags.ignored("wal-dir", flags.string, "what the API server writes is in --data-dir"),
    flags.ignored("unsafe-no-fsync", flags.boolean, "the API server writes, and syncs many writes at once"),
    flags.ignored("quota-backend-bytes", flags.integer, "the API server's file grows as far as the disk has room"),
    flags.ignored("max-request-bytes", flags.integer, "the API server bounds requests"),
    flags.ignored("log-level", flags.string, "it logs one line"),
    flags.ignored("logger", flags.string, "it logs one line"),
)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET of a few paths."""

    timeout = READ_SECONDS
    answers: Mapping[str, Mapping[str, str]] = {}

    def do_GET(self) -> None:
        answer = self.answers.get(urlsplit(self.path).path)
        body = json.dumps(answer or {"error": "not found: this stands in for etcd, and has none of its API"}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing: envtest asks ten times a second."""


class _Server(ThreadingHTTPServer):
    """Of the host's family; it does not look up its own name, which may take seconds without a network."""

    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)


def main(arguments: Sequence[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    try:
        values = flags.parse(PROGRAM, FLAGS, [_with_two_dashes(word) for word in arguments])
        family, address = _address(values["listen-client-urls"])
    except HelpAsked as asked:
        from pybernetes.component import command

        return command.show(asked)
    except FlagError as error:
        return _fail(str(error), 2)
    folder = Path(values["data-dir"]).absolute()
    try:
        held = _hold(folder)
    except BlockingIOError:
        return _fail(f"--data-dir={folder}: another etcd uses it: give each its own")
    except OSError as error:
        return _fail(f"--data-dir={folder}: {error.strerror}")
    try:
        _serve(family, address, folder)
    except OSError as error:
        return _fail(f"--listen-client-urls={','.join(values['listen-client-urls'])}: {error.strerror or error}")
    finally:
        os.close(held)
    return 0


def _with_two_dashes(word: str) -> str:
    """Go's own package of flags, which etcd uses, takes one as well; fabric8's kube-api-test writes `-data-dir`."""
    return f"-{word}" if word[:1] == "-" and word[1:2].isalpha() and len(word) > 2 else word


def _fail(text: str, code: int = 1) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)
    return code


def _address(urls: Sequence[str]) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """FlagError where it is not one URL of http."""
    given = f"--listen-client-urls={','.join(urls)}"
    try:
        [url] = urls
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.port is None:
            raise ValueError(url)
        family, *_, address = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)[0]
    except (ValueError, OSError) as error:
        raise FlagError(f"{given}: want one http://HOST:PORT; the stand-in speaks no TLS") from error
    return family, (str(address[0]), int(address[1]))


def _hold(folder: Path) -> int:
    """The descriptor of the lock on the directory. BlockingIOError where another has it, OSError where it is not to be had."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _serve(family: socket.AddressFamily, address: tuple[str, int], folder: Path) -> None:
    """Returns after a signal. OSError where the port is not to be had."""
    answers = {
        "/health": {"health": "true", "reason": ""},
        where.PATH: {"store": f"sqlite:{folder / where.FILE}"},
    }
    _Server.address_family = family
    stop = threading.Event()
    with _Server(address, type("Handler", (_Handler,), {"answers": answers})) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        print(SERVING % f"{host!s}:{port}", file=sys.stderr, flush=True)
        stop.wait()
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
