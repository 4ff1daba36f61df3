"""Rolls replica sets over to what a Deployment asks for (upstream: pkg/controller/deployment).

`plan` is one sync as a function: it works on copies and answers with the actions in their order.
"""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.labels import as_selector
from pybernetes.api.owners import controlled_by, controller_of
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core

from ..common import Key, clone, namespace_terminating
from ..framework import BY_CONTROLLER, Claims, Context, Controller, index_by_controller, owned_and_orphans, resolve
from . import rollback, util
from .plan import Action, CreateReplicaSet, DeleteReplicaSet, UpdateReplicaSet, UpdateStatus, plan


class DeploymentController(Controller):
    """One queue of deployments; replica sets and, for Recreate, pods lead to theirs."""

    name = "deployment-controller"
    queue_name = "deployment"
    max_retries = 15  # about 82 s of back-off in all

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_deployment_syncs)
        self._deployments = self.informer(apps.Deployment)
        self._sets = self.informer(apps.ReplicaSet)
        self._pods = self.informer(core.Pod)
        self._sets.add_index(BY_CONTROLLER, index_by_controller)
        self._pods.add_index(BY_CONTROLLER, index_by_controller)
        self._deployments.add_handler(self.on_change)
        self._sets.add_handler(self._on_set)
        self._pods.add_handler(self._on_pod)

    def _on_set(self, old: apps.ReplicaSet | None, new: apps.ReplicaSet | None) -> None:
        for rs in (new, old):
            owner = rs and resolve(self._deployments, controller_of(rs), rs.metadata.namespace, "Deployment")
            if owner:
                self.enqueue(owner)
        if new is not None and controller_of(new) is None and (old is None or _moved(old, new)):
            for deployment in self._deployments.list(new.metadata.namespace):
                if as_selector(deployment.spec.selector).matches(new.metadata.labels):
                    self.enqueue(deployment)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        """A recreation goes on when the last pod is gone."""
        if new is not None or old is None:
            return
        rs = resolve(self._sets, controller_of(old), old.metadata.namespace, "ReplicaSet")
        owner = rs and resolve(self._deployments, controller_of(rs), rs.metadata.namespace, "Deployment")
        if owner and owner.spec.strategy.type == "Recreate":
            self.enqueue(owner)

    async def sync(self, key: Key) -> None:
        """Claims replica sets, does what the plan says, comes back for the progress deadline."""
        deployment = self._deployments.get(key[1], key[0])
        if deployment is None:
            return
        selector = as_selector(deployment.spec.selector)
        if selector.empty():
            await self._refuse_everything(deployment)
            return
        claims = Claims(self.client, apps.ReplicaSet, deployment, selector)
        sets = await claims.claim(owned_and_orphans(self._sets, deployment))
        back = rollback.decided(deployment, sets) if not deployment.spec.paused else None
        if back is not None:
            await self.client.update(back.deployment)
            tell = self.recorder.warning if back.warning else self.recorder.normal
            tell(deployment, back.reason, back.message)
            return
        pods = {rs.metadata.uid: list(self._pods.by_index(BY_CONTROLLER, rs.metadata.uid)) for rs in sets}
        actions = plan(deployment, sets, pods, self.now())
        for action in actions:
            await self._apply(deployment, action)
        if not any(isinstance(action, UpdateStatus) for action in actions):
            wait = util.deadline_in(deployment, self.now())
            if wait is not None:
                self.look_again(key, wait)

    async def _refuse_everything(self, deployment: apps.Deployment) -> None:
        text = "This deployment is selecting all pods. A non-empty selector is required."
        self.recorder.warning(deployment, "SelectingAll", text)
        if deployment.status.observed_generation < deployment.metadata.generation:
            copy = clone(deployment)
            copy.status.observed_generation = copy.metadata.generation
            await self.client.update(copy, "status")

    async def _apply(self, deployment: apps.Deployment, action: Action) -> None:
        match action:
            case CreateReplicaSet(rs):
                await self._create(deployment, rs)
            case UpdateReplicaSet(rs, event):
                await self.client.update(rs)
                if event:
                    self.recorder.normal(deployment, "ScalingReplicaSet", event)
            case DeleteReplicaSet(rs):
                await self._delete(rs)
            case UpdateStatus(wanted):
                await self.client.update(wanted, "status")

    async def _create(self, deployment: apps.Deployment, rs: apps.ReplicaSet) -> None:
        try:
            await self.client.create(rs)
        except StatusError as error:
            if error.reason == "AlreadyExists":
                await self._collision(deployment, rs, error)
                return
            if not namespace_terminating(error):
                await self._creation_failed(deployment, rs, error)
            raise
        if rs.spec.replicas:
            text = f"Scaled up replica set {rs.metadata.name} from 0 to {rs.spec.replicas}"
            self.recorder.normal(deployment, "ScalingReplicaSet", text)

    async def _collision(self, deployment: apps.Deployment, rs: apps.ReplicaSet, error: StatusError) -> None:
        """Ours, which the cache has not shown yet, is fine; another's name is left to it, and the next hash tried."""
        existing = await self.client.get(apps.ReplicaSet, rs.metadata.name, rs.metadata.namespace)
        same = util.same_template(deployment.spec.template, existing.spec.template)
        if same and controlled_by(existing, deployment):
            return
        copy = clone(deployment)
        copy.status.collision_count = (copy.status.collision_count or 0) + 1
        await self.client.update(copy, "status")
        raise error

    async def _creation_failed(self, deployment: apps.Deployment, rs: apps.ReplicaSet, error: StatusError) -> None:
        text = f'Failed to create new replica set "{rs.metadata.name}": {error}'
        if util.has_deadline(deployment):
            copy = clone(deployment)
            failed = util.new_condition("Progressing", "False", "ReplicaSetCreateError", text, self.now())
            util.set_condition(copy.status, failed)
            if copy.status != deployment.status:
                await self.client.update(copy, "status")
        self.recorder.warning(deployment, "ReplicaSetCreateError", text)

    async def _delete(self, rs: apps.ReplicaSet) -> None:
        try:
            await self.client.delete(apps.ReplicaSet, rs.metadata.name, rs.metadata.namespace)
        except StatusError as error:
            if error.code != 404:
                raise


def _moved(old: apps.ReplicaSet, new: apps.ReplicaSet) -> bool:
    return old.metadata.labels != new.metadata.labels or controller_of(old) != controller_of(new)
