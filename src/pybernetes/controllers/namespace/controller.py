"""Empties a namespace that is being deleted and lets it go (upstream: pkg/controller/namespace/deletion)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.client.metadata import MetadataClient, Partial, Resource, discover, having
from pybernetes.client.retry import retry_on_conflict

from ..common import Key, aggregate, clone
from ..framework import Again, Context, Controller
from .plan import Emptied, conditions_of, failures, graceful_estimate, next_look

FINALIZER = "kubernetes"
# Upstream waits 5 s before the first deletion, so that every API server has seen the namespace terminate; one second
# is still many times what a watch takes, and a person waits for it.
GRACE_SECONDS = 1.0
FINALIZER_ESTIMATE = 15  # seconds that objects with finalizers are given


class NamespaceController(Controller):
    """One queue of namespaces that are being deleted."""

    name = "namespace-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_namespace_syncs)
        self._metadata = MetadataClient(self.client)
        self._looks: Counter[Key] = Counter()
        self._whole: set[str] = set()  # resources without deletecollection, found out by asking
        self._namespaces = self.informer(core.Namespace)
        self._namespaces.add_handler(self._on_namespace)

    def _on_namespace(self, old: core.Namespace | None, new: core.Namespace | None) -> None:
        if new is None:
            assert old is not None
            self._looks.pop(("", old.metadata.name), None)
        elif new.metadata.deletion_timestamp is not None and (old is None or old.metadata.deletion_timestamp is None):
            self.queue.add_after(("", new.metadata.name), GRACE_SECONDS)

    async def sync(self, key: Key) -> None:
        """One go; comes back while something remains."""
        namespace = await self._live(key[1])
        if namespace is None or namespace.metadata.deletion_timestamp is None:
            return
        if namespace.status.phase != "Terminating":
            namespace = await self._update(namespace, _terminating, "status")
        if namespace is None or FINALIZER not in namespace.spec.finalizers:
            return
        emptied = await self._empty(namespace)
        await self._tell(namespace, emptied)
        if emptied.failed:
            texts = [*emptied.errors, *(f"{name}: {why}" for name, why in emptied.undiscovered.items())]
            raise Again(f"namespace is not empty: {aggregate(texts)}")
        if emptied.estimate > 0:
            self.queue.add_after(key, next_look(emptied.estimate, self._looks[key]))
            self._looks[key] += 1
            return
        await self._update(namespace, _finalized, "finalize")

    async def _live(self, name: str) -> core.Namespace | None:
        try:
            return await self.client.get(core.Namespace, name)
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    async def _update(
        self, namespace: core.Namespace, change: Callable[[core.Namespace], None], subresource: str
    ) -> core.Namespace | None:
        """Tried again on conflicts; None where it is gone or another one."""

        async def write(current: core.Namespace) -> core.Namespace | None:
            if current.metadata.uid != namespace.metadata.uid:
                return None
            desired = clone(current)
            change(desired)
            return await self.client.update(desired, subresource)

        try:
            return await retry_on_conflict(
                write, namespace, lambda: self.client.get(core.Namespace, namespace.metadata.name), self.context.clock
            )
        except StatusError as error:
            if error.code != 404:
                raise
        return None

    async def _tell(self, namespace: core.Namespace, emptied: Emptied) -> None:
        def change(namespace_copy: core.Namespace) -> None:
            namespace_copy.status.conditions = conditions_of(
                namespace_copy.status.conditions, failures(emptied), self.now()
            )

        namespace_copy = clone(namespace)
        change(namespace_copy)
        stays = emptied.failed or emptied.estimate > 0
        if stays and namespace_copy.status.conditions != namespace.status.conditions:
            await self._update(namespace, change, "status")

    # --- emptying

    async def _empty(self, namespace: core.Namespace) -> Emptied:
        """Pods first, all other resources once these are gone, as upstream since 1.33."""
        discovered = await discover(self.client)
        emptied = Emptied(undiscovered=discovered.failed)
        resources = [r for r in having(discovered.preferred(), "delete") if r.namespaced]
        pods = [r for r in resources if (r.group, r.name) == ("", "pods")]
        for resource in pods:
            await self._empty_of(resource, namespace, emptied)
        if not emptied.remaining:
            for resource in resources:
                if resource not in pods:
                    await self._empty_of(resource, namespace, emptied)
        return emptied

    async def _empty_of(self, resource: Resource, namespace: core.Namespace, emptied: Emptied) -> None:
        name = namespace.metadata.name
        try:
            estimate = await self._graceful(resource, namespace)
            await self._delete_all(resource, name)
            remaining = await self._remaining(resource, name)
        except StatusError as error:
            emptied.errors.append(str(error))
            return
        if not remaining:
            return
        emptied.remaining[f"{resource.name}.{resource.group}"] = len(remaining)  # with the dot even of the core group
        counted = Counter(finalizer for item in remaining for finalizer in item.metadata.finalizers or ())
        emptied.finalizers.update(counted)
        if estimate:
            emptied.estimate = max(emptied.estimate, estimate)
        elif counted:
            emptied.estimate = max(emptied.estimate, FINALIZER_ESTIMATE)
        else:
            where = f"{resource.group}/{resource.version}, Resource={resource.name}"
            emptied.errors.append(f"unexpected items still remain in namespace: {name} for gvr: {where}")

    async def _graceful(self, resource: Resource, namespace: core.Namespace) -> int:
        if (resource.group, resource.name) != ("", "pods"):
            return 0
        pods = await self.client.list(core.Pod, namespace.metadata.name)
        deleted_at = namespace.metadata.deletion_timestamp
        assert deleted_at is not None
        return graceful_estimate(pods.items, deleted_at, self.now())

    async def _delete_all(self, resource: Resource, namespace: str) -> None:
        if "deletecollection" in resource.verbs and resource.group_resource not in self._whole:
            try:
                await self._metadata.delete_collection(resource, namespace)
                return
            except StatusError as error:
                if error.code not in (404, 405):
                    raise
                self._whole.add(resource.group_resource)
        for item in await self._remaining(resource, namespace):
            try:
                await self._metadata.delete(resource, item.metadata.name, namespace)
            except StatusError as error:
                if error.code not in (404, 405):
                    raise

    async def _remaining(self, resource: Resource, namespace: str) -> Sequence[Partial]:
        if "list" not in resource.verbs:
            return []
        try:
            return (await self._metadata.list(resource, namespace)).items
        except StatusError as error:
            if error.code in (404, 405):
                return []
            raise


def _terminating(namespace: core.Namespace) -> None:
    namespace.status.phase = "Terminating"


def _finalized(namespace: core.Namespace) -> None:
    namespace.spec.finalizers = [name for name in namespace.spec.finalizers if name != FINALIZER]
