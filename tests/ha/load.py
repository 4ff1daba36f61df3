"""Steady load from the hosts' network: a writer and a reader at the virtual address, and a caller of the Service. They write down what they see."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from pybernetes.api.types.core_v1 import ConfigMap
from pybernetes.client.http import HTTPClient
from pybernetes.client.informer import KindListWatch, SharedInformer
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from tests.hosts import LAN
from tests.netns.namespaces import enter

from .cluster import ENDPOINT, KUBECTL, Cluster, must

NAMESPACE = "load"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
SERVICE = "http://10.20.0.21:30080"
PAUSE_SECONDS = 0.05
# After so long a client gives a connection up and makes another one: whoever is frozen takes requests and never answers.
ANSWER_SECONDS = 1.0
RETRY_SECONDS = 0.05
START = f"""
{KUBECTL} create namespace {NAMESPACE} >&2
{KUBECTL} -n {NAMESPACE} create serviceaccount load >&2
{KUBECTL} create clusterrolebinding load --clusterrole=cluster-admin --serviceaccount={NAMESPACE}:load >&2
{KUBECTL} -n {NAMESPACE} create token load --duration=24h
"""


@dataclass
class Seen:
    """Of one client: when requests were answered as they should (monotonic), and when and how not."""

    good: list[float] = field(default_factory=list)
    bad: list[tuple[float, str]] = field(default_factory=list)

    def gap(self, since: float) -> float:
        """The longest time without a good answer from then until now; seconds."""
        moments = [since, *(at for at in self.good if at > since), time.monotonic()]
        return max(after - before for before, after in pairwise(moments))

    def failures(self, since: float) -> list[str]:
        """What was not as it should be from then on."""
        return [words for at, words in self.bad if at > since]


@dataclass(frozen=True)
class Held:
    """What a Lease said: who holds it, since when it has been renewed last."""

    holder: str
    renewed: str
    at: float


@dataclass
class Load:
    """All that was seen. `acknowledged`: resource version by name of each object whose creation was acknowledged."""

    token: str
    authority: str
    prefix: str = field(default_factory=lambda: f"w{secrets.token_hex(3)}")  # of names, where there was a load before
    writes: Seen = field(default_factory=Seen)
    reads: Seen = field(default_factory=Seen)
    calls: Seen = field(default_factory=Seen)
    acknowledged: dict[str, str] = field(default_factory=dict)
    unretried: list[str] = field(default_factory=list)  # requests that failed also when they were sent again
    leases: dict[str, list[Held]] = field(default_factory=lambda: {"kube-scheduler": [], "kube-controller-manager": []})
    ended: bool = False

    def headers(self) -> Sequence[tuple[str, str]]:
        return (("Authorization", f"Bearer {self.token}"), ("Content-Type", "application/json"))

    def client(self, endpoint: str = ENDPOINT) -> HTTPClient:
        """Of the API servers behind an address."""
        return HTTPClient(f"https://{endpoint}", ssl.create_default_context(cadata=self.authority))

    async def run(self) -> None:
        """Until it is over."""
        api, other, web = self.client(), self.client(), HTTPClient(SERVICE)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._repeat(self.writes, lambda n: self._write(api, n)))
                tasks.create_task(self._repeat(self.reads, lambda n: self._read(other)))
                tasks.create_task(self._repeat(self.calls, lambda n: self._call(web)))
                tasks.create_task(self._repeat(Seen(), lambda n: self._look(other)))
        finally:
            for http in (api, other, web):
                await http.close()

    async def _repeat(self, seen: Seen, ask: Callable[[int], Awaitable[str]]) -> None:
        """`ask` says what was wrong, "" for nothing."""
        number = 0
        while not self.ended:
            number += 1
            try:
                words = await ask(number)
            except OSError as error:
                words = f"{type(error).__name__} {error}"
            if words:
                seen.bad.append((time.monotonic(), words))
            else:
                seen.good.append(time.monotonic())
            await asyncio.sleep(RETRY_SECONDS if words else PAUSE_SECONDS)

    async def _write(self, http: HTTPClient, number: int) -> str:
        name = f"{self.prefix}-{number:06}"
        body = json.dumps({"metadata": {"name": name}, "data": {"n": str(number)}}).encode()
        answer = await http.request("POST", MAPS, self.headers(), body, timeout=ANSWER_SECONDS)
        if answer.status != 201:
            return f"{answer.status} {answer.body[:300].decode()}"
        self.acknowledged[name] = json.loads(answer.body)["metadata"]["resourceVersion"]
        return ""

    async def _read(self, http: HTTPClient) -> str:
        """What was acknowledged last, whoever is asked."""
        name = next(reversed(self.acknowledged), "")
        if not name:
            return ""
        answer = await http.request("GET", f"{MAPS}/{name}", self.headers(), timeout=ANSWER_SECONDS)
        if answer.status == 404:
            self.unretried.append(f"{name} was acknowledged, and then not found")
        return "" if answer.status == 200 else f"{answer.status} {answer.body[:300].decode()}"

    async def _call(self, http: HTTPClient) -> str:
        answer = await http.request("GET", "/", [("Connection", "close")], timeout=ANSWER_SECONDS)
        return "" if answer.body.startswith(b"hello from a pod") else f"{answer.status}"

    async def _look(self, http: HTTPClient) -> str:
        """At who leads."""
        for name, held in self.leases.items():
            answer = await http.request("GET", f"{LEASES}/{name}", self.headers(), timeout=ANSWER_SECONDS)
            if answer.status != 200:
                return str(answer.status)
            spec = json.loads(answer.body)["spec"]
            one = Held(spec.get("holderIdentity", ""), spec["renewTime"], time.monotonic())
            if not held or (held[-1].holder, held[-1].renewed) != (one.holder, one.renewed):
                held.append(one)
        return ""

    def stored(self, cluster: Cluster) -> dict[str, str]:
        """What there is of it now, by name; asked through another way than the load's."""
        template = r'{range .items[*]}{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'
        told = must(cluster.masters[0], f"{KUBECTL} -n {NAMESPACE} get configmaps -o jsonpath='{template}'")
        return dict(line.split() for line in told.splitlines())

    def lost(self, cluster: Cluster) -> list[str]:
        """Acknowledged writes that are not there as they were acknowledged."""
        acknowledged = dict(self.acknowledged)
        stored = self.stored(cluster)
        return [name for name, revision in acknowledged.items() if stored.get(name) != revision]


def prepared(cluster: Cluster) -> Load:
    """With a token that may do everything, of a ServiceAccount."""
    first = cluster.masters[0]
    token = must(first, START).splitlines()[-1].strip()
    return Load(token, must(first, "cat /etc/kubernetes/pki/ca.crt"))


@contextmanager
def running(load: Load) -> Iterator[Load]:
    """On a thread that is in the hosts' network."""
    with _aside(load.run, lambda: setattr(load, "ended", True)):
        yield load


@contextmanager
def watching(load: Load) -> Iterator[SharedInformer[ConfigMap]]:
    """A client that holds copies of what the load writes, by list and watch at the virtual address."""
    config = Config(f"https://{ENDPOINT}", ca_data=load.authority.encode(), token=load.token)
    informer: list[SharedInformer[ConfigMap]] = []
    ended, begun = threading.Event(), threading.Event()

    async def watch() -> None:
        client = RESTClient(config)
        informer.append(SharedInformer(KindListWatch(client, ConfigMap, NAMESPACE)))
        task = asyncio.create_task(informer[0].run())
        begun.set()
        while not ended.is_set():
            await asyncio.sleep(PAUSE_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()

    with _aside(watch, ended.set):
        assert begun.wait(ANSWER_SECONDS)
        yield informer[0]


@contextmanager
def _aside(run: Callable[[], Coroutine[None, None, None]], end: Callable[[], None]) -> Iterator[None]:
    """`run` on a thread in the hosts' network, which `end` has come to its end."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            enter_lan()
            asyncio.run(run())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end()
        thread.join()
    if errors:
        raise errors[0]


def enter_lan() -> None:
    """The calling thread is in the network of the hosts from now on."""
    descriptor = os.open(f"/run/netns/{LAN}", os.O_RDONLY)
    try:
        enter(descriptor)
    finally:
        os.close(descriptor)
