"""`pybernetes balancer`: has this host's nginx or HAProxy, and keepalived, know the control-plane hosts as they come and go."""

from __future__ import annotations

from pybernetes.component import command, flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values

PROGRAM = "pybernetes balancer"
FLAGS = (
    Flag("address", flags.string, "", "This host's address, by which the others reach it."),
    Flag("apiserver-port", flags.integer, 6443, "Where API servers listen."),
    Flag("control-plane", flags.boolean, True, "Whether this host has an API server of its own."),
    Flag("interface", flags.string, "", "The interface that gets the virtual address."),
    Flag("kind", flags.string, "nginx", "What passes connections on: nginx or haproxy."),
    Flag("kubeconfig", flags.string, "", "How the API is asked for the control-plane nodes."),
    Flag("node-name", flags.string, "", "This host's node."),
    Flag("on-nodes", flags.boolean, False, "The balancer is this host's alone, at 127.0.0.1."),
    Flag("port", flags.integer, 8443, "Where the balancer listens."),
    Flag("router-id", flags.integer, 51, "VRRP's."),
    Flag("virtual-address", flags.string, "", "What keepalived holds; nothing where there is none."),
    VERBOSITY,
)


def main(arguments: list[str]) -> int:
    """Until SIGTERM."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """UsageError."""
    from pybernetes.client.kubeconfig import ConfigError, load
    from pybernetes.client.rest import RESTClient
    from pybernetes.cluster.assembly import watcher
    from pybernetes.deploy.daemons.model import BALANCER, MASTER, WORKER, Balancer, Host

    for name in ("address", "kubeconfig", "node-name"):
        if not values[name]:
            raise UsageError(f"--{name} is missing")
    if values["kind"] not in ("nginx", "haproxy"):
        raise UsageError(f"--kind={values['kind']}: it is nginx or haproxy")
    roles = (MASTER, BALANCER) if values["control-plane"] else (WORKER,)
    this = Host(values["node-name"], values["address"], roles, values["interface"])
    virtual, on_nodes = values["virtual-address"], values["on-nodes"]
    balancer = Balancer(values["kind"], values["port"], virtual, values["router-id"], on_nodes)
    try:
        config = load(values["kubeconfig"])
        client, context = RESTClient(config, PROGRAM.replace(" ", "-")), config.ssl_context()
    except ConfigError as error:
        raise UsageError(f"--kubeconfig={values['kubeconfig']}: {error}") from error
    port = values["apiserver-port"]
    try:
        await watcher.follow(
            client,
            port,
            context,
            lambda masters, out: watcher.bring_about(watcher.described(balancer, this, port, masters, out)),
        )
    finally:
        await client.close()
