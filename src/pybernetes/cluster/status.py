"""`pybernetes status`: the health of each part, node and add-on, and when certificates end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta

from pybernetes.api.conditions import condition
from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import ConfigError, load
from pybernetes.client.rest import RESTClient
from pybernetes.deploy.lines import Line
from pybernetes.pki.certificates import RENEW_BEFORE, ends_at

from . import state
from .layout import Layout
from .ports import PROXY_HEALTH
from .settings import ClusterConfig

Workload = apps.Deployment | apps.DaemonSet

ASK_SECONDS = 3.0
STARTING = timedelta(minutes=2)  # that an add-on may take to be there again after its node was away
COMPLETE = "NewReplicaSetAvailable"  # why a deployment says that it progresses, once it has come to its end


async def status(layout: Layout, settings: ClusterConfig, now: datetime) -> list[Line]:
    """Parts, nodes, add-ons, certificates; what cannot be asked is a line of its own that is not ok."""
    lines = await _parts(layout, settings)
    try:
        client = RESTClient(load(layout.kubeconfig("admin")), "pybernetes-status")
    except ConfigError as error:
        return [*lines, Line("kubeconfig", "admin.conf", False, str(error)), *certificates(layout, now)]
    try:
        async with asyncio.timeout(ASK_SECONDS):
            nodes = (await client.list(core.Node)).items
            workloads: list[Workload] = [*(await client.list(apps.Deployment)).items]
            workloads += (await client.list(apps.DaemonSet)).items
        by_name = {(one.metadata.namespace, one.metadata.name): one for one in workloads}
        lines += [node_line(node) for node in nodes]
        if not settings.hollow:
            lines += [add_on_line(name, by_name.get(name), now) for name in add_ons(settings)]
    except (StatusError, ConnectionError, TimeoutError, OSError) as error:
        lines.append(Line("api", settings.node_name, False, f"cannot be asked: {str(error) or type(error).__name__}"))
    finally:
        await client.close()
    return [*lines, *certificates(layout, now)]


def health_urls(settings: ClusterConfig) -> dict[str, str]:
    """Where each part says how it is."""
    urls = {
        "kube-apiserver": f"https://127.0.0.1:{settings.port}/readyz",
        "kube-controller-manager": f"https://127.0.0.1:{settings.controller_manager_port}/healthz",
        "kube-scheduler": f"https://127.0.0.1:{settings.scheduler_port}/healthz",
        "kubelet": f"http://127.0.0.1:{settings.kubelet_health_port}/healthz",
    }
    if settings.hollow:
        return urls
    urls["kube-proxy"] = f"http://127.0.0.1:{PROXY_HEALTH}/healthz"
    if settings.runs_network_policies:
        urls["kube-network-policies"] = f"http://127.0.0.1:{settings.network_policies_port}/healthz"
    if settings.runs_load_balancer:
        urls["service-load-balancer"] = f"http://127.0.0.1:{settings.load_balancer_port}/healthz"
    if settings.runs_ingress:
        urls["nginx-ingress-controller"] = f"http://127.0.0.1:{settings.ingress_port}/healthz"
    return urls


async def _parts(layout: Layout, settings: ClusterConfig) -> list[Line]:
    supervisor = state.read(layout) if state.supervisor_pid(layout) else None
    if supervisor is None:
        return [Line("part", "supervisor", False, "does not run; start it with `pybernetes up`")]
    urls = health_urls(settings)
    health = dict(zip(urls, await asyncio.gather(*(_ask(layout, url) for url in urls.values())), strict=True))
    return [part_line(part, health.get(part.name)) for part in supervisor.parts]


async def _ask(layout: Layout, url: str) -> str:
    """ "" if healthy, else what is wrong. With the administrator's certificate: /readyz is not for everybody."""
    host, _, path = url.partition("//")[2].partition("/")
    context: ssl.SSLContext | None = None
    try:
        if url.startswith("https:"):
            context = load(layout.kubeconfig("admin")).ssl_context()
        client = HTTPClient(url.removesuffix(f"/{path}"), context)
        try:
            answer = await client.request("GET", f"/{path}", timeout=ASK_SECONDS)
        finally:
            await client.close()
    except (ConfigError, ConnectionError, TimeoutError, OSError) as error:
        return f"{host} does not answer: {str(error) or type(error).__name__}"
    if answer.status == 200:
        return ""
    return f"{host} answers {answer.status}: {answer.body[:200].decode(errors='replace').strip()}"


def part_line(part: state.PartState, problem: str | None) -> Line:
    """`problem` None: this part is not asked, only its process is looked at."""
    if not part.pid:
        return Line("part", part.name, False, f"waits for its restart ({part.last_exit}, {part.restarts} restarts)")
    restarts = f", {part.restarts} restarts, last: {part.last_exit}" if part.restarts else ""
    if problem:
        return Line("part", part.name, False, f"pid {part.pid}{restarts}: {problem}")
    return Line("part", part.name, True, f"pid {part.pid}{restarts}")


def node_line(node: core.Node) -> Line:
    ready = condition(node.status.conditions, "Ready")
    if ready is not None and ready.status == "True":
        paused = ", cordoned" if node.spec.unschedulable else ""
        return Line("node", node.metadata.name, True, f"Ready{paused}")
    return Line("node", node.metadata.name, False, f"NotReady: {ready.message if ready else 'no status yet'}")


def add_ons(settings: ClusterConfig) -> Iterator[tuple[str, str]]:
    """(namespace, name) of those that this cluster is to have."""
    yield "kube-system", "coredns"
    if settings.metrics_server:
        yield "kube-system", "metrics-server"
    if settings.local_path:
        yield "local-path-storage", "local-path-provisioner"


def add_on_line(name: tuple[str, str], workload: Workload | None, now: datetime) -> Line:
    """One that rolls out, or begins anew with its node, and has time left for it, is well: metrics-server has nothing to tell before it
    has looked twice."""
    label = "/".join(name)
    if workload is None:
        return Line("add-on", label, False, "is missing; `pybernetes up` brings it back")
    if isinstance(workload, apps.DaemonSet):
        desired, available = workload.status.desired_number_scheduled, workload.status.number_available
        return Line("add-on", label, available >= desired, f"{available} of {desired} available")
    desired = 1 if workload.spec.replicas is None else workload.spec.replicas
    available = workload.status.available_replicas or 0
    progress = condition(workload.status.conditions, "Progressing")
    if available < desired and progress is not None and progress.status == "True" and progress.reason != COMPLETE:
        return Line("add-on", label, True, f"{available} of {desired} available, rolls out")
    lacking = condition(workload.status.conditions, "Available")
    since = lacking.last_transition_time if lacking is not None and lacking.status == "False" else None
    if available < desired and since is not None and now - since < STARTING:
        return Line("add-on", label, True, f"{available} of {desired} available, starts")
    return Line("add-on", label, available >= desired, f"{available} of {desired} available")


def certificates(layout: Layout, now: datetime) -> list[Line]:
    """By end, the next one first."""
    lines = []
    for path in sorted(layout.pki.glob("*.crt")):
        try:
            lines.append((ends_at(path.read_bytes()), path.stem))
        except (OSError, ValueError) as error:
            return [Line("certificate", path.stem, False, f"cannot be read: {error}")]
    return [certificate_line(name, end, now) for end, name in sorted(lines)]


def certificate_line(name: str, end: datetime, now: datetime) -> Line:
    days = (end - now).days
    if end <= now:
        return Line("certificate", name, False, f"ended on {end:%Y-%m-%d}; `pybernetes up` renews it")
    hint = "; the next `pybernetes up` renews it" if end - now < RENEW_BEFORE else ""
    return Line("certificate", name, True, f"ends in {days} days, on {end:%Y-%m-%d}{hint}")
