"""What a test asks of its cluster, as requests: on the cluster's loop, without a socket, unseen by rules and records."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pybernetes.aio.flowing import FlowingClock
from pybernetes.api.errors import StatusError
from pybernetes.api.wellknown import KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER
from pybernetes.apiserver.authorization.rules import GROUP as RBAC_GROUP
from pybernetes.apiserver.filters.faultrules import Fault
from pybernetes.apiserver.filters.faults import Faults
from pybernetes.client.rest import RESTClient
from pybernetes.cluster.credentials import kubeconfig
from pybernetes.store.memory import Snapshot

from . import arguments
from .access import Access, in_namespace
from .arguments import WrongArgument
from .certificates import write
from .clients import Clients
from .cluster import HOLLOW_NODES, RunningCluster, TestCluster
from .discovery import Resource, Resources
from .requests import Recorder
from .scripts import Kept, Scripts
from .webhook import LocalWebhook, Reviewer

Object = dict[str, Any]

HANDLE = AGENT = "pybernetes-testing"  # the user and field manager of what a test does itself
PARTS = frozenset({KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, HOLLOW_NODES, HANDLE})
# A field that there is none of is a mistake of the test's, as it is for kubectl.
WRITTEN = f"fieldManager={AGENT}&fieldValidation=Strict"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
PAGE = 500
MAX_LISTED = 5000
ESTABLISHED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Arranged:
    """What a test has arranged besides objects, at one moment."""

    rules: list[Fault]
    scripts: Kept
    webhooks: list[LocalWebhook]


class Core:
    """One cluster. All coroutines are for its loop."""

    def __init__(
        self,
        folder: Path,
        cluster: TestCluster,
        clock: FlowingClock,
        recorder: Recorder,
        faults: Faults,
        scripts: Scripts,
    ) -> None:
        self.folder, self.cluster, self.clock = folder, cluster, clock
        self.recorder, self.faults, self.scripts = recorder, faults, scripts
        self.running: RunningCluster
        self.clients = Clients()
        self.began: Snapshot  # what there was before the test
        self._client: RESTClient
        self._resources: Resources
        self._webhooks: list[LocalWebhook] = []
        self._numbers = itertools.count(1)

    async def start(self, port: int = 0) -> None:
        """See TestCluster.start."""
        self.running = await self.cluster.start(port)
        self._client = self.cluster.client(HANDLE, agent=AGENT, retries=False)
        self._resources = Resources(self._client)
        await self.mark()

    async def stop(self) -> None:
        """The cluster, and webhooks that are still open."""
        await self.cluster.stop()
        for webhook in self._webhooks:
            await webhook.stop()

    def number(self) -> int:
        """For names that there is no second of."""
        return next(self._numbers)

    async def webhook(self, reviewer: Reviewer | None, port: int) -> LocalWebhook:
        """It answers, if the reviewer is to. OSError where the port is not to be had."""
        webhook = LocalWebhook(self, reviewer, port)
        await webhook.start()
        self._webhooks.append(webhook)
        return webhook

    async def arranged(self) -> Arranged:
        """To be gone back to with `rearrange`."""
        return Arranged(list(self.faults.rules), self.scripts.kept(), list(self._webhooks))

    async def rearrange(self, arranged: Arranged) -> None:
        """Rules, scripts and webhooks that came since are gone."""
        self.faults.rules[:] = arranged.rules
        self.scripts.go_back(arranged.scripts)
        for webhook in [one for one in self._webhooks if one not in arranged.webhooks]:
            await webhook.leave()
            self._webhooks.remove(webhook)

    async def mark(self) -> None:
        """A test begins: what happened until now is not its doing."""
        self.began = self.cluster.snapshot()
        self.recorder.clear()

    def administrator(self, namespace: str = "") -> Access:
        """The administrator; with a namespace, in it by default."""
        running = self.running
        path = Path(running.kubeconfig)
        if namespace:
            path = self.folder / f"kubeconfig-{namespace}"
            if not path.exists():
                write(path, in_namespace(Path(running.kubeconfig).read_text(), namespace).encode())
        return Access(
            "kubernetes-admin",
            running.url,
            str(path),
            running.token,
            running.ca_file,
            namespace or "default",
            self.clients,
        )

    async def find(self, word: str) -> Resource:
        """What a kind is called. WrongArgument."""
        return await self._resources.find(word)

    async def get(self, word: str, name: str, namespace: str) -> Object | None:
        """None where there is none. WrongArgument, StatusError."""
        resource, name = await self._resources.find(word), arguments.name("name", name)
        try:
            obj: Object = await self._ask("GET", resource.path(namespace, name))
            return obj
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    async def listed(self, word: str, namespace: str, selector: str, field_selector: str) -> list[Object]:
        """Of all namespaces where it is "". WrongArgument, StatusError."""
        resource = await self._resources.find(word)
        query = {"labelSelector": selector, "fieldSelector": field_selector, "limit": str(PAGE), "continue": ""}
        items: list[Object] = []
        while True:
            asked = urlencode({name: value for name, value in query.items() if value})
            page = await self._ask("GET", f"{resource.path(namespace)}?{asked}")
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            items += [{**kind, **item} for item in page["items"]]
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return items

    async def apply(self, objects: Sequence[Object], namespace: str) -> list[Object]:
        """Server-side and by force; what has only a generateName is created. Definitions are served when it returns."""
        applied = []
        for obj in objects:
            resource = await self._resources.of(obj)
            metadata = obj["metadata"]
            place = metadata.get("namespace") or namespace
            body = json.dumps(obj).encode()
            if metadata.get("name"):
                path = f"{resource.path(place, metadata['name'])}?{WRITTEN}&force=true"
                answered = await self._ask("PATCH", path, body, APPLY)
            else:
                answered = await self._ask("POST", f"{resource.path(place)}?{WRITTEN}", body)
            if obj["kind"] == "CustomResourceDefinition":
                answered = await self._established(metadata["name"])
            applied.append(answered)
        return applied

    async def _established(self, name: str) -> Object:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        end = self.clock.monotonic() + ESTABLISHED_SECONDS
        while True:
            definition: Object = await self._ask("GET", path)
            conditions = (definition.get("status") or {}).get("conditions") or ()
            if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                return definition
            refused = [
                one["message"] for one in conditions if one["type"] == "NamesAccepted" and one["status"] == "False"
            ]
            if refused or self.clock.monotonic() > end:
                raise WrongArgument(f"{name} is not established: {refused or conditions}")
            await self.clock.sleep(0.005)

    async def patch(self, word: str, name: str, namespace: str, patch: Object, subresource: str) -> Object:
        """A merge patch. WrongArgument, StatusError."""
        resource, name = await self._resources.find(word), arguments.name("name", name)
        path = f"{resource.path(namespace, name, subresource)}?{WRITTEN}"
        patched: Object = await self._ask("PATCH", path, json.dumps(patch).encode(), MERGE)
        return patched

    async def delete(self, word: str, name: str, namespace: str, grace: int | None) -> None:
        """WrongArgument, StatusError."""
        resource, name = await self._resources.find(word), arguments.name("name", name)
        body = json.dumps({"gracePeriodSeconds": grace}).encode() if grace is not None else None
        await self._client.raw("DELETE", resource.path(namespace, name), body)

    async def remove(self, kind: str, name: str) -> None:
        """One that is in no namespace; nothing where it is not there."""
        try:
            await self.delete(kind, name, "", None)
        except StatusError as error:
            if error.code != 404:
                raise

    async def evict(self, name: str, namespace: str) -> None:
        """By the API, as kubectl drain does: disruption budgets are asked. StatusError 429 where one refuses."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        await self._ask("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", json.dumps(eviction).encode())

    async def user(self, name: str, groups: Sequence[str], rules: Sequence[Object], namespace: str) -> Access:
        """With these rights, in one namespace or ("") everywhere. WrongArgument, StatusError for rules that are none."""
        arguments.name("user", name)
        if isinstance(rules, str | dict) or not all(isinstance(rule, dict) for rule in rules):
            raise WrongArgument(
                f'rules={rules!r}: want a list of rules, as {{"resources": ["pods"], "verbs": ["get"]}}'
            )
        if rules:
            kind, path = ("Role", f"namespaces/{namespace}/roles") if namespace else ("ClusterRole", "clusterroles")
            role = {"metadata": {"name": f"test:{name}"}, "rules": [{"apiGroups": [""], **rule} for rule in rules]}
            binding = {
                "metadata": {"name": f"test:{name}"},
                "roleRef": {"apiGroup": RBAC_GROUP, "kind": kind, "name": f"test:{name}"},
                "subjects": [{"apiGroup": RBAC_GROUP, "kind": "User", "name": name}],
            }
            for obj, place in ((role, path), (binding, path.replace("roles", "rolebindings"))):
                of_kind = {"apiVersion": f"{RBAC_GROUP}/v1", "kind": kind if obj is role else f"{kind}Binding"}
                body = json.dumps({**of_kind, **obj}).encode()
                where = f"/apis/{RBAC_GROUP}/v1/{place}/test:{name}?{WRITTEN}&force=true"
                await self._ask("PATCH", where, body, APPLY)
        token, pair = self.cluster.user(name, groups)
        running = self.running
        path_of = self.folder / f"kubeconfig-user-{len(list(self.folder.iterdir()))}"
        text = kubeconfig(running.url, running.ca, name, pair)
        write(path_of, (in_namespace(text, namespace) if namespace else text).encode())
        return Access(name, running.url, str(path_of), token, running.ca_file, namespace or "default", self.clients)

    async def changed(self, namespace: str) -> list[Object]:
        """What is not as it was before the test; of one namespace or ("") of all."""
        now, before = self.cluster.snapshot().values, self.began.values
        changed = []
        for key in sorted(now):
            if now[key] is not before.get(key) and "/events/" not in key and "/leases/" not in key:
                obj = json.loads(now[key])
                if isinstance(obj, dict) and obj.get("kind") and namespace in ("", obj["metadata"].get("namespace")):
                    changed.append(obj)
                if len(changed) >= MAX_LISTED:
                    break
        return changed

    async def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        return json.loads(await self._client.raw(method, path, body, headers))
