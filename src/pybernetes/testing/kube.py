"""The handle on a cluster that tests have: `Kube`, whose methods wait. `akube.AsyncKube` is the same to await."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pybernetes.store.memory import Snapshot

from . import events, manifests, webhook
from .access import Access
from .arguments import WrongArgument, duration
from .arguments import selector as labels
from .background import BackgroundLoop
from .conditions import DELETED, Condition, Object, Predicate, summary
from .core import PARTS, Core
from .events import Events
from .parts import Clock, FaultRules, Nodes, Pods
from .requests import Requests
from .reviews import Convert, Review
from .webhook import Webhook

__tracebackhide__ = True  # pytest shows a test's own line where one of these fails

T = TypeVar("T")

POLL_SECONDS, MAX_POLL_SECONDS = 0.005, 0.1
WAIT_SECONDS = 30.0
EVENTS = 3  # in the words of a wait that was in vain


class NotReached(AssertionError, TimeoutError):
    """What was waited for has not come; the text says how the object does and what happened to it."""


class Kube(Access):
    """A cluster, as its administrator in one namespace (`namespace`, that of all methods that are not told another).

    Objects are dicts as JSON has them. Kinds are called as kubectl calls them: pod, deploy, Deployment, widgets.example.com. Errors of
    the API are StatusError (`code`, `reason`). Requests of these methods are not among `requests`, and no fault hits them.
    """

    def __init__(self, loop: BackgroundLoop, core: Core, access: Access) -> None:
        super().__init__(
            access.username, access.url, access.kubeconfig, access.token, access.ca_file, access.namespace, core.clients
        )
        self._loop, self._core = loop, core
        self.clock, self.faults = Clock(loop, core.clock), FaultRules(loop, core.faults)
        self.pods, self.nodes = Pods(loop, core, access.namespace), Nodes(loop, core)

    def in_namespace(self, name: str) -> Kube:
        """The same cluster, with another namespace for all that is not told one; it is made if it is not there."""
        if self.get_or_none("namespace", name) is None:
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return Kube(self._loop, self._core, self._core.administrator(name))

    @contextmanager
    def temporary_namespace(self, name: str = "test") -> Iterator[Kube]:
        """The same cluster in a new namespace, whose name begins so; it is deleted after the block.

        With it goes what the block has arranged: rules of faults, scripts of pods, webhooks. `requests` and `report()` tell of the block alone.
        """
        namespace = self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": f"{name}-"}})
        handle = self.in_namespace(namespace["metadata"]["name"])
        arranged = self._loop.run(self._core.arranged())
        self._loop.run(self._core.mark())
        try:
            yield handle
        finally:
            self._loop.run(self._core.rearrange(arranged))
            self.delete("namespace", handle.namespace)

    # Objects.

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """LookupError where there is none; WrongArgument for a kind that the server does not have."""
        obj = self.get_or_none(kind, name, namespace)
        if obj is None:
            raise LookupError(f"there is no {kind} {name!r} in {namespace or self.namespace}")
        return obj

    def get_or_none(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """As `get`, but None where there is none."""
        return self._loop.run(self._core.get(kind, name, namespace or self.namespace))

    def list(
        self,
        kind: str,
        namespace: str = "",
        *,
        selector: str | Mapping[str, str] = "",
        field_selector: str = "",
        all_namespaces: bool = False,
    ) -> list[Object]:
        """Sorted by namespace and name. `selector` of labels: "app=web,tier!=db", or {"app": "web"}."""
        place = "" if all_namespaces else namespace or self.namespace
        return self._loop.run(self._core.listed(kind, place, labels(selector), field_selector))

    def apply(self, given: Any, namespace: str = "") -> Any:
        """Server-side, by force: a path (also of a folder), YAML or JSON, dicts, objects of the Python clients, or a list of these.

        The object that is stored; for files, texts and lists, a list of them. Of what has only a `generateName` a new one is
        made; fields that there are none of are refused. WrongArgument, StatusError.
        """
        objects = manifests.objects(given)
        applied = self._loop.run(self._core.apply(objects, namespace or self.namespace))
        return applied if isinstance(given, str | list | tuple) or hasattr(given, "__fspath__") else applied[0]

    def crds(self, *paths: Any) -> Sequence[Object]:
        """As `apply`, and returns when the definitions among them are Established."""
        return self._loop.run(self._core.apply(manifests.objects(list(paths)), self.namespace))

    def patch(self, kind: str, name: str, patch: Object, namespace: str = "", *, subresource: str = "") -> Object:
        """A merge patch; `subresource="status"` for what controllers write."""
        return self._loop.run(self._core.patch(kind, name, namespace or self.namespace, patch, subresource))

    def delete(self, kind: str, name: str, namespace: str = "", *, grace: int | None = None) -> None:
        """Begins it; wait_for(kind, name, "deleted") waits for finalizers and pods. `grace` in seconds."""
        self._loop.run(self._core.delete(kind, name, namespace or self.namespace, grace))

    def wait_for(
        self,
        kind: str,
        name: str,
        condition: str | Predicate = "Ready",
        timeout: float | str = WAIT_SECONDS,
        namespace: str = "",
    ) -> Object | None:
        """Returns the object (None once it is deleted) when it is so: "created", "deleted", a condition ("Available", "Ready=False"), a
        field (".status.phase=Running"), or a function of the object that says so; it is called on the caller's thread.

        `timeout` is real time. NotReached, a TimeoutError and an AssertionError, which tells how the object does. WrongArgument.
        """
        try:
            awaited = Condition(condition)
        except ValueError as error:
            raise WrongArgument(str(error)) from error
        seconds, place, pause = duration("timeout", timeout), namespace or self.namespace, POLL_SECONDS
        end = time.monotonic() + seconds
        while True:
            obj = self.get_or_none(kind, name, place)
            if awaited.holds(obj):
                return None if awaited.text == DELETED else obj
            if time.monotonic() >= end:
                raise NotReached(self._in_vain(kind, name, place, awaited.text, seconds, obj))
            time.sleep(pause)
            pause = min(pause * 1.5, MAX_POLL_SECONDS)

    def wait_until(self, holds: Callable[[], T], timeout: float | str = WAIT_SECONDS) -> T:
        """What the function gives as soon as that is true: for what is no object, as `lambda: kube.requests.where(verb="delete")`.

        `timeout` is real time. NotReached, which shows what it gave last. WrongArgument.
        """
        if not callable(holds):
            raise WrongArgument(f"wait_until({holds!r}): want a function")
        seconds, pause = duration("timeout", timeout), POLL_SECONDS
        end = time.monotonic() + seconds
        while not (given := holds()):
            if time.monotonic() >= end:
                raise NotReached(f"{getattr(holds, '__name__', holds)} gives {given!r} after {seconds:g} s")
            time.sleep(pause)
            pause = min(pause * 1.5, MAX_POLL_SECONDS)
        return given

    def _in_vain(self, kind: str, name: str, place: str, condition: str, seconds: float, obj: Object | None) -> str:
        state = "there is none" if obj is None else summary(obj) or "it has no status"
        happened = [
            f"\n  {one.get('reason')}: {one.get('message')}"
            for one in self._events(place)
            if one.get("involvedObject", {}).get("name") == name
        ]
        return (
            f"{kind} {name!r} in {place} is not {condition} after {seconds:g} s: {state}{''.join(happened[-EVENTS:])}"
        )

    # Users.

    def user(self, name: str, groups: Sequence[str] = (), rules: Sequence[Object] = (), namespace: str = "") -> Access:
        """Somebody who may only what `rules` say (as in a Role; `apiGroups` is [""] unless told), everywhere or in one namespace."""
        return self._loop.run(self._core.user(name, groups, rules, namespace))

    # Webhooks.

    def webhook(self, review: Review | None = None, *, convert: Convert | None = None, port: int = 0) -> Webhook:
        """A webhook that is asked on this machine, over TLS with a certificate that the cluster trusts; until it is closed, or the test ends.

        `review` is a function of the AdmissionReview's `request` (a dict). It returns None or True (allowed), False or why it is refused, the
        object as it is to be, a list of JSON patch operations, or a whole response with `allowed`; what it raises is an error 500.
        `convert` is a function of an object and the apiVersion that is asked for, and returns the object. Both run on threads and may ask the
        cluster. Without them a server of the test's own answers at the `port`. WrongArgument; OSError where the port is not to be had.
        """
        reviewer = webhook.reviewer(review, convert, port)
        local = self._loop.run(self._core.webhook(reviewer, port))
        return Webhook(self._loop, local, self.namespace)

    # What happened.

    @property
    def requests(self) -> Requests:
        """What was asked since the test began by others than the cluster's own parts; the last 2000. Oldest first."""
        return self._core.recorder.requests(without=PARTS)

    @property
    def all_requests(self) -> Requests:
        """With those of controllers, scheduler and nodes."""
        return self._core.recorder.requests()

    @property
    def events(self) -> Events:
        """Of the namespace, oldest first."""
        return self.list_events()

    def list_events(self, namespace: str = "") -> Events:
        """As `events`, of any namespace."""
        return self._events(namespace or self.namespace)

    def _events(self, namespace: str) -> Events:
        return events.by_time(self._loop.run(self._core.listed("events", namespace, "", "")))

    # The whole cluster.

    def snapshot(self) -> Snapshot:
        """All objects as they are: to go back to with `restore`, or to begin another cluster with (`Cluster(state=...)`)."""

        async def take() -> Snapshot:
            return self._core.cluster.snapshot()

        return self._loop.run(take())

    def restore(self, snapshot: Snapshot) -> None:
        """All objects as they were. Watchers hear of deletions, changes and additions; uids are those of then, resource versions go on.

        WrongArgument.
        """
        if not isinstance(snapshot, Snapshot):
            raise WrongArgument(f"restore({snapshot!r}): want what snapshot() has given")
        self._loop.run(self._core.cluster.restore(snapshot))

    def restart(self) -> None:
        """The API server ends and comes back with its data on its port; connections are cut."""
        self._loop.run(self._core.cluster.restart())

    def report(self) -> str:
        """What a failure's report shows: the objects that changed since the test began, events, requests."""
        from .report import report

        changed = self._loop.run(self._core.changed(""))
        return report(changed, self._events(""), self.requests)
