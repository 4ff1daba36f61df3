"""`pybernetes metrics-server`: what nodes and pods use, as metrics.k8s.io behind the API server."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.aio.clock import RealClock
from pybernetes.component import command, servingflags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Values
from pybernetes.metricsserver.options import FLAGS, check, node_selector, resolver

if TYPE_CHECKING:
    from pybernetes.client.kubeconfig import Config

PROGRAM = "pybernetes metrics-server"


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled."""
    from pybernetes.component import serving
    from pybernetes.component.clientflags import Clients
    from pybernetes.component.metrics import Registry, process_metrics
    from pybernetes.metricsserver.api import MetricsAPI, ask
    from pybernetes.metricsserver.scraper import Kubelets, Scraper

    check(values)
    selector, registry, clock = node_selector(values), Registry(), RealClock()
    process_metrics(registry)
    async with AsyncExitStack() as stack:
        clients = Clients(stack, values, "metrics-server", registry)
        kubelets = Kubelets(
            resolver(values), _to_kubelets(values, clients.config), timeout=values["kubelet-request-timeout"]
        )
        scraper = Scraper(
            kubelets,
            clients.client(),
            values["metric-resolution"],
            clock,
            registry,
            random.Random(),
            lambda node: selector.matches(node.labels),
        )
        timely = {"metric-collection-timely": scraper.collection_problem}
        ready = {
            "metric-storage-ready": scraper.storage_problem,
            "metric-informer-sync": scraper.informer_problem,
            "metadata-informer-sync": scraper.informer_problem,
        }
        routes = dict(MetricsAPI(scraper, clock).routes())
        for name, checks in (("livez", timely), ("readyz", ready), ("healthz", timely)):
            routes[f"/{name}"] = routes[f"/{name}/"] = serving.health(name, {"ping": lambda: "", **checks})
        await servingflags.serve(stack, values, clients, registry, None, serving.Extension(routes, ask))
        await scraper.run()


def _to_kubelets(values: Values, config: Config) -> Config:
    """Who asks kubelets, and how they are known: as the API server, unless flags say something else. UsageError."""
    authority, key = values["kubelet-certificate-authority"], values["kubelet-client-key"]
    for flag in ("kubelet-certificate-authority", "kubelet-client-certificate", "kubelet-client-key"):
        command.read_file(values, flag)  # which is told by its flag where it cannot be read
    changed = replace(config, server="https://kubelet", source=None if authority or key else config.source)
    if values["kubelet-insecure-tls"]:
        changed = replace(changed, insecure_skip_tls_verify=True)
    if authority:
        changed = replace(changed, ca_file=Path(authority))
    if key:
        changed = replace(
            changed, certificate_file=Path(values["kubelet-client-certificate"]), key_file=Path(key), token_file=None
        )
        changed.token = ""
    try:
        changed.ssl_context()
    except OSError as error:
        raise UsageError(f"--kubelet-certificate-authority, --kubelet-client-certificate: {error}") from error
    return changed
