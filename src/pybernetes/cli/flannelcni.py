"""`pybernetes flannel-cni`: the CNI plugin "flannel", which reads its command from the environment (upstream: flannel-io/cni-plugin).

A container runtime runs a file called `flannel` of its folder of plugins: `#!/bin/sh` and `exec pybernetes flannel-cni` are such a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybernetes.flannel.cni import Config

ABOUT = "pybernetes flannel-cni is run by a container runtime, with CNI_COMMAND=ADD, DEL, CHECK or VERSION and a configuration on its input."


def main(arguments: list[str]) -> int:
    """0, or 1 with an error as JSON on the output."""
    from pybernetes.flannel.cni import CNIError

    if arguments or "CNI_COMMAND" not in os.environ:
        print(ABOUT, file=sys.stderr)
        return 0 if arguments in ([], ["--help"], ["-h"]) else 2
    try:
        sys.stdout.write(_run())
    except CNIError as error:
        print(error.document())
        return 1
    return 0


def _run() -> str:
    from pybernetes.flannel import cni

    command = cni.check_environment(os.environ)
    if command == "VERSION":
        return json.dumps({"cniVersion": cni.VERSIONS[-1], "supportedVersions": cni.VERSIONS}) + "\n"
    config = cni.parse(sys.stdin.buffer.read())
    scratch = Path(config.get("dataDir") or cni.DEFAULT_DATA_DIR) / os.environ["CNI_CONTAINERID"]
    match command:
        case "ADD":
            return _add(config, scratch)
        case "DEL":
            return _delete(scratch)
        case _:
            return _check(config, scratch)


def _add(config: Config, scratch: Path) -> str:
    """What was told is kept: the subnet may be another one when the container goes."""
    from pybernetes.flannel.cni import DEFAULT_SUBNET_FILE, CNIError, delegated
    from pybernetes.net import subnetfile

    try:
        subnets = subnetfile.load(Path(config.get("subnetFile") or DEFAULT_SUBNET_FILE))
    except subnetfile.SubnetFileError as error:
        text = f"failed to load flannel 'subnet.env' file: {error}. Check the flannel pod log for this node."
        raise CNIError(text) from None
    delegate = delegated(config, subnets)
    try:
        _save(scratch, json.dumps(delegate))
    except OSError as error:
        raise CNIError(f"{scratch}: {error.strerror or error}") from error
    return _delegate("add", delegate)


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _kept(scratch: Path) -> Config | None:
    """None of a container that is not, or no longer, known here."""
    from pybernetes.flannel.cni import CNIError

    try:
        document: Config = json.loads(scratch.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CNIError(f"{scratch}: {error.strerror or error}") from error
    except ValueError as error:
        print(f"failed to parse netconf: {error}", file=sys.stderr)  # half written as the machine went down
        return None
    return document


def _delete(scratch: Path) -> str:
    kept = _kept(scratch)
    if kept is not None:
        _delegate("del", kept)
    scratch.unlink(missing_ok=True)
    return ""


def _check(config: Config, scratch: Path) -> str:
    from pybernetes.flannel.cni import CNIError, with_gateways

    kept = _kept(scratch)
    if kept is None:
        raise CNIError(f"container {scratch.name} has no network of this plugin")
    return _delegate(
        "check", kept | {"prevResult": with_gateways(config["prevResult"])} if "prevResult" in config else kept
    )


def _delegate(verb: str, config: Config) -> str:
    """The output of the plugin named by the configuration, of the folders of CNI_PATH. CNIError."""
    from pybernetes.flannel.cni import CNIError

    name = config["type"]
    folders = [Path(folder) for folder in os.environ["CNI_PATH"].split(os.pathsep) if folder]
    program = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if program is None or "/" in name:
        raise CNIError(
            f"failed to delegate {verb}: failed to find plugin {json.dumps(name)} in path {os.environ['CNI_PATH']}"
        )
    environment = os.environ | {"CNI_COMMAND": verb.upper()}
    try:
        done = subprocess.run(
            [program], input=json.dumps(config), env=environment, stdout=subprocess.PIPE, text=True, check=False
        )
    except OSError as error:
        raise CNIError(f"failed to delegate {verb}: {program}: {error.strerror or error}") from error
    if done.returncode:
        raise CNIError(f"failed to delegate {verb}: {_said(done.stdout) or f'{name} ended with {done.returncode}'}")
    return done.stdout


def _said(output: str) -> str:
    """An error's text with its details."""
    try:
        document = json.loads(output)
        return "; ".join(str(document[name]) for name in ("msg", "details") if document.get(name))
    except (ValueError, AttributeError):
        return output.strip()[:1000]
