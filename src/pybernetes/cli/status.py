"""`pybernetes status`: of the cluster that `up` has made here, or of one of several hosts."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.command import Failure
from pybernetes.component.flags import Flag, Values

from . import deployflags, etcdflags

if TYPE_CHECKING:
    from pybernetes.cluster.layout import Layout
    from pybernetes.cluster.settings import ClusterConfig
    from pybernetes.deploy.lines import Line

PROGRAM = "pybernetes status"
KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf"  # what join leaves on every host
FLAGS = (
    Flag("data-dir", flags.string, "", "The cluster's directory (default: /var/lib/pybernetes, as root)."),
    Flag("json", flags.boolean, False, "One JSON array of {kind, name, ok, text}."),
    Flag(
        "kubeconfig",
        flags.string,
        "",
        "Of a cluster of several hosts; default: /etc/kubernetes/admin.conf where `up` has made none.",
    ),
    *(flag for flag in etcdflags.ACCESS if flag is not deployflags.KUBECONFIG),
    deployflags.KUBECONFIG_DIR,
)


def main(arguments: list[str]) -> int:
    """0 if everything is well, 1 if something is not."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> int:
    from pybernetes.cluster import layout, state

    up = layout.Layout(layout.data_dir(values["data-dir"])).settings.exists()
    if values["kubeconfig"] or (not up and not values["data-dir"] and Path(deployflags.ADMIN_KUBECONFIG).exists()):
        return show(asyncio.run(_of_hosts(values)), values["json"])
    if not up and not values["data-dir"] and Path(KUBELET_KUBECONFIG).exists():
        raise Failure(
            "this host is a worker: ask on a control-plane host, or name an administrator's file with --kubeconfig"
        )
    place, settings = state.existing(values["data-dir"])
    return print_status(place, settings, values["json"])


async def _of_hosts(values: Values) -> list[Line]:
    from pybernetes.deploy import status
    from pybernetes.deploy.endpoints import is_loopback, split_host_port

    given = Values({**values, "kubeconfig": values["kubeconfig"] or deployflags.ADMIN_KUBECONFIG}, values.given)
    configuration = await asyncio.to_thread(deployflags.of_cluster, given, "status", lambda line: None)
    has_etcd = bool(values["endpoints"]) or Path(values["cert-dir"], "etcd/ca.crt").exists()
    where = await asyncio.to_thread(etcdflags.location, given) if has_etcd else None
    endpoint = configuration.cluster.control_plane_endpoint
    virtual = split_host_port(endpoint)[0] if endpoint and not is_loopback(endpoint) else ""
    return await status.of_hosts(
        Path(given["kubeconfig"]), configuration, Path(values["kubeconfig-dir"]), where, virtual, datetime.now(UTC)
    )


def print_status(place: Layout, settings: ClusterConfig, as_json: bool = False) -> int:
    """Prints, and says whether all is well: 0 or 1."""
    from pybernetes.cluster import status

    return show(asyncio.run(status.status(place, settings, datetime.now(UTC))), as_json)


def show(lines: list[Line], as_json: bool) -> int:
    """Prints, and says whether all is well: 0 or 1."""
    from pybernetes.deploy.lines import table

    if as_json:
        print(json.dumps([{"kind": x.kind, "name": x.name, "ok": x.ok, "text": x.text} for x in lines]))
    else:
        print(table(lines))
    return 0 if all(line.ok for line in lines) else 1
