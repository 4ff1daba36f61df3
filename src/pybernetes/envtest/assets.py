"""The folder of wrappers that envtest runs in place of upstream's binaries."""

from __future__ import annotations

import os
import shlex
import site
import sys
from pathlib import Path

ETCD, API_SERVER, KUBECTL = NAMES = ("etcd", "kube-apiserver", "kubectl")
STAND_IN = "pybernetes.envtest.etcd"
SERVER = "pybernetes.cli.envtestapiserver"
NO_KUBECTL = "kubectl was not installed when `pybernetes envtest-assets` was run: install it and run that again, or give it --kubectl=PATH"


def write(folder: Path, etcd: Path | None, kubectl: Path | None) -> None:
    """The three wrappers, over those that are there. `etcd`: the program to run in place of the stand-in. OSError.

    envtest signals the process it has started, so each wrapper becomes its program (`exec`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        ETCD: _program(etcd) if etcd is not None else _module(STAND_IN),
        API_SERVER: _module(SERVER),
        KUBECTL: _program(kubectl) if kubectl is not None else f"echo {shlex.quote(NO_KUBECTL)} >&2\nexit 1",
    }
    for name, text in texts.items():
        beside = folder / f".{name}.new"  # renamed: a suite may be running the old one
        beside.write_text(f"#!/bin/sh\n# Written by `pybernetes envtest-assets`.\n{text}\n")
        beside.chmod(0o755)
        beside.replace(folder / name)


def _program(path: Path) -> str:
    return f'exec {shlex.quote(str(path.absolute()))} "$@"'


def _module(name: str) -> str:
    """Run by this interpreter; -P: what lies in the suite's folder is no module of ours."""
    root = str(Path(__file__).parents[2])
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    path = "" if root in map(os.path.abspath, folders) else f"PYTHONPATH={shlex.quote(root)} "
    return f'{path}exec {shlex.quote(sys.executable)} -P -m {name} "$@"'
