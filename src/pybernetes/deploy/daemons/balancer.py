"""What stands before several API servers: nginx or HAProxy pass connections on as they are (TLS ends at the API server), keepalived holds
the virtual address where one of them is well."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ..configuration import KUBERNETES_DIR
from .flags import command_line
from .model import BALANCER, MASTER, WORKER, Balancer, Check, Cluster, Daemon, File, Host

WATCHER = "balancer"  # our command
WATCHED = ("nginx", "haproxy", "keepalived")  # whose files it writes
KUBECONFIG = f"{KUBERNETES_DIR}/kubelet.conf"
FOLDER = "/etc/pybernetes/balancer"
RUN = "/run/pybernetes"
CONNECT_SECONDS = 1  # a host that is cut off does not refuse: the next one is asked after so long
IDLE = "10m"  # watches say something at least once a minute: only what is dead is so quiet
# A balancer that is frozen takes connections and says nothing. Two checks in a row find it in 3 s, so that with VRRP's own time the
# address has moved before 5 s are over.
CHECK_SECONDS = 1
FAILED_SECONDS = 5  # for so long an API server that did not answer is passed over


def balancers(cluster: Cluster, host: Host) -> list[Daemon]:
    """Of a host that has one: the balancer itself, and keepalived where there is a virtual address."""
    balancer = cluster.balancer
    if balancer is None:
        return []
    if balancer.on_nodes:
        return [on_node(cluster, balancer), watcher(cluster, balancer, host)]
    if BALANCER not in host.roles:
        return []
    daemons = [_passing(cluster, balancer, "")]
    if balancer.virtual_address:
        daemons.append(keepalived(cluster, balancer, host))
    # The watcher asks as the host's node: a host apart has none, and its files are whose that wrote them.
    return [*daemons, watcher(cluster, balancer, host)] if MASTER in host.roles or WORKER in host.roles else daemons


def on_node(cluster: Cluster, balancer: Balancer, servers: Sequence[str] = ()) -> Daemon:
    """A host's own, at its loopback address; `servers` (HOST:PORT): before the cluster has said which API servers there are."""
    return _passing(cluster, balancer, "127.0.0.1", servers)


def watcher(cluster: Cluster, balancer: Balancer, host: Host) -> Daemon:
    """Has the files of the others name the masters that there are, as these come and go."""
    arguments = {
        "address": host.address,
        "apiserver-port": str(cluster.configuration.init.local_api_endpoint.bind_port),
        "interface": host.interface,
        "kind": balancer.kind,
        "kubeconfig": KUBECONFIG,
        "node-name": host.name,
        "port": str(balancer.port),
        "router-id": str(balancer.router_id),
        "virtual-address": balancer.virtual_address,
    }
    if balancer.on_nodes:
        arguments |= {"control-plane": "true" if MASTER in host.roles else "false", "on-nodes": "true"}
    return Daemon(
        name=WATCHER,
        about="tells the balancer which API servers there are",
        program=WATCHER,
        arguments=command_line(arguments),
        ours=True,
        after=(balancer.kind,),
    )


def _passing(cluster: Cluster, balancer: Balancer, address: str, given: Sequence[str] = ()) -> Daemon:
    port = cluster.configuration.init.local_api_endpoint.bind_port
    servers = given or [_joined(host.address, port) for host in cluster.having(MASTER)]
    listens = [_joined(address, balancer.port)] if address else [f"0.0.0.0:{balancer.port}", f"[::]:{balancer.port}"]
    make = {"nginx": nginx, "haproxy": haproxy}[balancer.kind]
    return make(servers, listens, Check(address=_joined(address or "127.0.0.1", balancer.port)))


def nginx(servers: Sequence[str], listens: Sequence[str], check: Check) -> Daemon:
    """Debian's, with libnginx-mod-stream; a configuration of its own, so that another nginx of the host is not in the way."""
    path = f"{FOLDER}/nginx.conf"
    text = "\n".join(
        [
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;",
            "worker_processes 1;",
            f"worker_shutdown_timeout {IDLE};",  # else those of before a reload stay as long as one client does
            f"pid {RUN}/nginx.pid;",
            "error_log stderr notice;",
            "events { worker_connections 8192; }",
            "stream {",
            # In turn, not the least busy one: that would be who swallows connections, which clients then give up.
            "    upstream kube-apiserver {",
            *(f"        server {server} max_fails=1 fail_timeout={FAILED_SECONDS}s;" for server in servers),
            "    }",
            "    server {",
            *(f"        listen {listen}{' ipv6only=on' if listen.startswith('[::]') else ''};" for listen in listens),
            "        proxy_pass kube-apiserver;",
            f"        proxy_connect_timeout {CONNECT_SECONDS}s;",
            f"        proxy_timeout {IDLE};",
            "        proxy_socket_keepalive on;",
            "    }",
            "}",
            "",
        ]
    )
    arguments = ("-c", path, "-g", "daemon off;")
    return Daemon(
        name="nginx",
        about="passes connections on to the API servers",
        program="nginx",
        arguments=arguments,
        files=(File(path, text),),
        directories=(RUN,),
        check=check,
        reload=("nginx", "-c", path, "-s", "reload"),
    )


def haproxy(servers: Sequence[str], listens: Sequence[str], check: Check) -> Daemon:
    """The same by HAProxy, which asks the servers by itself whether they answer: one that is frozen would take connections."""
    path = f"{FOLDER}/haproxy.cfg"
    text = "\n".join(
        [
            "global",
            "    log stderr format raw local0 notice",
            "defaults",
            "    mode tcp",
            "    log global",
            f"    timeout connect {CONNECT_SECONDS}s",
            f"    timeout client {IDLE}",
            f"    timeout server {IDLE}",
            "frontend kube-apiserver",
            *(f"    bind {listen}{' v6only' if listen.startswith('[::]') else ''}" for listen in listens),
            "    default_backend kube-apiserver",
            "backend kube-apiserver",
            "    balance leastconn",
            "    option redispatch",
            "    option httpchk GET /version",
            "    http-check expect rstatus ^[1-5]",  # whatever it says: what all say at once must not cut everybody off
            "    timeout check 1s",
            "    default-server check check-ssl verify none inter 1s fall 2 rise 2 on-marked-down shutdown-sessions",
            *(f"    server master-{number} {server}" for number, server in enumerate(servers, 1)),
            "",
        ]
    )
    return Daemon(
        name="haproxy",
        about="passes connections on to the API servers",
        program="haproxy",
        arguments=("-W", "-db", "-f", path, "-p", f"{RUN}/haproxy.pid"),
        files=(File(path, text),),
        directories=(RUN,),
        check=check,
        reload=_signal("USR2", "haproxy.pid"),
    )


def keepalived(cluster: Cluster, balancer: Balancer, host: Host) -> Daemon:
    """VRRP without multicast: the hosts are told of each other. The address goes where the balancer answers; of those the first in the
    list has it. It does not come back by itself (nopreempt): each move cuts connections."""
    others = [other.address for other in cluster.having(BALANCER) if other.name != host.name]
    names = [other.name for other in cluster.having(BALANCER)]
    address = balancer.virtual_address
    prefix = "" if "/" in address else ("/128" if ":" in address else "/32")
    path, script = f"{FOLDER}/keepalived.conf", f"{FOLDER}/check"
    secret = hashlib.sha256(f"{address} {balancer.router_id}".encode()).hexdigest()[
        :8
    ]  # tells clusters apart, keeps nobody out
    text = "\n".join(
        [
            "global_defs {",
            f"    router_id {host.name}",
            "    script_user root",
            "    enable_script_security",
            "    vrrp_garp_master_refresh 60",
            # Who was master beside a better one says so once more before it steps back, by which that one learns that it has to announce
            # the address anew: it has never stopped to be master, and all neighbours would go on to ask the other one.
            "    vrrp_higher_prio_send_advert true",
            "}",
            "vrrp_script balancer {",
            f'    script "{script}"',
            f"    interval {CHECK_SECONDS}",
            f"    timeout {CHECK_SECONDS + 1}",
            "    fall 2",
            "    rise 2",
            "}",
            "vrrp_instance kube-apiserver {",
            "    state BACKUP",
            "    nopreempt",
            f"    interface {host.interface}",
            f"    virtual_router_id {balancer.router_id}",
            f"    priority {200 - names.index(host.name)}",
            "    advert_int 1",
            f"    unicast_src_ip {host.address}",
            "    unicast_peer {",
            *(f"        {other}" for other in others),
            "    }",
            "    authentication {",
            "        auth_type PASS",
            f"        auth_pass {secret}",
            "    }",
            "    virtual_ipaddress {",
            f"        {address}{prefix} dev {host.interface}",
            "    }",
            "    track_script {",
            "        balancer",
            "    }",
            "}",
            "",
        ]
    )
    return Daemon(
        name="keepalived",
        about=f"holds {address.partition('/')[0]} where the balancer is well",
        program="keepalived",
        arguments=(
            "--dont-fork",
            "--log-console",
            "--vrrp",
            f"--use-file={path}",
            f"--pid={RUN}/keepalived.pid",
            f"--vrrp_pid={RUN}/vrrp.pid",
        ),
        files=(File(path, text), File(script, _check_script(balancer.port), 0o755)),
        directories=(RUN,),
        reload=_signal("HUP", "keepalived.pid"),
        after=(balancer.kind,),
    )


def _check_script(port: int) -> str:
    """Well is who takes a connection and leads it to an API server that answers, whatever its answer is. It is not asked for its health,
    which is etcd's, too: while etcd chooses a leader nobody would be well, and nobody would have the address."""
    curl = f"curl --silent --insecure --max-time {CHECK_SECONDS} --output /dev/null"
    return f"#!/bin/sh\nexec {curl} https://127.0.0.1:{port}/version\n"


def _signal(name: str, pid_file: str) -> tuple[str, ...]:
    return ("sh", "-c", f'kill -{name} "$(cat {RUN}/{pid_file})"')


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
