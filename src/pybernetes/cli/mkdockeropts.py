"""`pybernetes mk-docker-opts`: dockerd's options for flannel's subnet.env (upstream: flannel's dist/mk-docker-opts.sh)."""

from __future__ import annotations

import getopt
import os
import sys
from pathlib import Path

USAGE = """Usage: pybernetes mk-docker-opts [-f FLANNEL-ENV-FILE] [-d DOCKER-ENV-FILE] [-i] [-c] [-m] [-k COMBINED-KEY]

Writes dockerd's options for the subnet that flanneld has told. Without -i and -c both are written.
  -f  flannel's file, /run/flannel/subnet.env
  -d  the file to write, /run/docker_opts.env
  -i  each option as a variable: DOCKER_OPT_MTU="--mtu=1450"
  -c  all of them in one variable, DOCKER_OPTS
  -k  the name of that variable
  -m  without --ip-masq
"""


def main(arguments: list[str]) -> int:
    """Exit code 1 as upstream's, also for the usage."""
    from pybernetes.flannel.dockeropts import DEFAULT_KEY, DockerOptionsError, Form, lines, read

    try:
        options, _ = getopt.getopt(arguments, "f:d:icmk:h", ["help"])
    except getopt.GetoptError as error:
        print(f"pybernetes mk-docker-opts: {error}\n{USAGE}", end="", file=sys.stderr)
        return 1
    given = dict(options)
    if "-h" in given or "--help" in given:
        print(USAGE, end="", file=sys.stderr)
        return 0 if "--help" in given else 1
    both = "-i" not in given and "-c" not in given
    form = Form("-i" in given or both, "-c" in given or both, given.get("-k", DEFAULT_KEY), "-m" not in given)
    source, target = Path(given.get("-f", "/run/flannel/subnet.env")), Path(given.get("-d", "/run/docker_opts.env"))
    try:
        variables = {**os.environ, **(read(source.read_text()) if source.is_file() else {})}
        target.write_text(lines(variables, form))
    except (OSError, DockerOptionsError) as error:
        print(f"pybernetes mk-docker-opts: {error}", file=sys.stderr)
        return 1
    return _check_routes(variables.get("FLANNEL_SUBNET", ""))


def _check_routes(subnet: str) -> int:
    """A route to the bridge's own subnet by somebody else would take its packets away."""
    from ipaddress import IPv4Interface

    from pybernetes.net.routes import Router

    if not subnet:
        return 0
    try:
        network = str(IPv4Interface(subnet).network)
    except ValueError:
        return 0  # Docker says it better
    with Router() as router:
        invalid = [route for route in router.routes() if route.destination == network]
    for route in invalid:
        text = f"{route.destination} via {route.gateway}"
        print(f"Your routing table already contains the subnet: {text}", file=sys.stderr)
    return 1 if invalid else 0
