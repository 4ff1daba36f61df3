"""`pybernetes envtest-assets DIR`: what KUBEBUILDER_ASSETS names."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pybernetes.component import command, flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.envtest import assets

PROGRAM = "pybernetes envtest-assets"
FLAGS = (
    Flag("etcd", flags.string, "", "The etcd to run; the stand-in, which needs no etcd, if not given."),
    Flag("kubectl", flags.string, "", "The kubectl to run; that of the PATH if not given."),
)


def main(arguments: list[str]) -> int:
    return command.once(PROGRAM, FLAGS, _write, arguments, words=True)


def _write(values: Values) -> None:
    if len(values.arguments) != 1:
        raise UsageError("want the folder to write to: pybernetes envtest-assets DIR")
    folder = Path(values.arguments[0])
    etcd = _given(values, assets.ETCD)
    kubectl = _given(values, assets.KUBECTL) or _on_path(assets.KUBECTL, folder)
    assets.write(folder, etcd, kubectl)
    if kubectl is None:
        print(f"{PROGRAM}: {assets.NO_KUBECTL}; until then {folder / assets.KUBECTL} fails", file=sys.stderr)
    print(f"export KUBEBUILDER_ASSETS={folder.absolute()}")


def _given(values: Values, flag: str) -> Path | None:
    """UsageError where it is no program."""
    if not values[flag]:
        return None
    program = shutil.which(values[flag])
    if program is None:
        raise UsageError(f"--{flag}={values[flag]}: there is no such program")
    return Path(program)


def _on_path(name: str, folder: Path) -> Path | None:
    """None where there is none but the wrapper that was written before."""
    program = shutil.which(name)
    return Path(program) if program is not None and Path(program).parent.resolve() != folder.resolve() else None
