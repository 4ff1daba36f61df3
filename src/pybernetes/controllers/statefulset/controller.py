"""Pods with a name, an order and storage of their own (upstream: pkg/controller/statefulset). What a sync does is in plan.py."""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.api.errors import StatusError
from pybernetes.api.labels import as_selector
from pybernetes.api.owners import controller_of
from pybernetes.api.pods import next_availability
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core

from .. import history
from ..common import Key, clone, namespace_terminating
from ..framework import (
    BY_CONTROLLER,
    Again,
    Claims,
    Context,
    Controller,
    index_by_controller,
    owned_and_orphans,
    resolve,
    slow_start,
)
from ..revisions import by_number, data_of, holds, new_revision, revision_hash, template_in
from . import plan


class ClaimsMissing(Again):
    """Claims of a pod's templates could not be created, or are about to go: the pod waits for them."""


class StatefulSetController(Controller):
    """One queue of stateful sets; pods lead to theirs."""

    name = "statefulset-controller"
    queue_name = "statefulset"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_statefulset_syncs)
        self._sets = self.informer(apps.StatefulSet)
        self._pods = self.informer(core.Pod)
        self._claims = self.informer(core.PersistentVolumeClaim)
        self._revisions = self.informer(apps.ControllerRevision)
        for informer in (self._pods, self._revisions):
            informer.add_index(BY_CONTROLLER, index_by_controller)
        self._sets.add_handler(self.on_change)
        self._pods.add_handler(self._on_pod)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        for pod in (old, new):
            owner = resolve(self._sets, controller_of(pod), pod.metadata.namespace, "StatefulSet") if pod else None
            if owner is not None:
                self.enqueue(owner)
        if new is not None and controller_of(new) is None and (old is None or old.metadata != new.metadata):
            for ss in self._sets.list(new.metadata.namespace):
                if as_selector(ss.spec.selector).matches(new.metadata.labels):
                    self.enqueue(ss)

    # --- what is done

    async def sync(self, key: Key) -> None:
        """Revisions, the plan's actions, status, history."""
        ss = self._sets.get(key[1], key[0])
        if ss is None:
            return
        selector = as_selector(ss.spec.selector)
        revisions = await self._claimed_revisions(ss)
        claims = Claims(self.client, core.Pod, ss, selector)
        pods = await claims.claim(owned_and_orphans(self._pods, ss), lambda pod: plan.is_member(ss, pod))
        update = await self._update_revision(ss, revisions)
        current = next((r for r in revisions if r.metadata.name == ss.status.current_revision), update)
        now = self.now()
        decided = plan.Sync(
            ss,
            pods,
            _revision(ss, current),
            _revision(ss, update),
            now,
            lambda pod: self._owners_match(ss, pod),
            lambda pod: self._is_stale(ss, pod),
        ).run()
        error = await self._act(ss, decided.actions)
        await self.write_status(ss, decided.status)
        await self._clean_up(ss, revisions, pods, [current.metadata.name, update.metadata.name])
        if error is not None:
            raise error
        wait = next_availability(pods, ss.spec.min_ready_seconds, now) if ss.spec.min_ready_seconds else None
        if wait is not None:
            self.look_again(key, wait)

    async def _act(self, ss: apps.StatefulSet, actions: Sequence[plan.Action]) -> Exception | None:
        """One after the other in order, or all at once; the first error."""
        if ss.spec.pod_management_policy == "Parallel":
            _, error = await slow_start(len(actions), lambda number: self._apply(ss, actions[number]))
            return error
        try:
            for action in actions:
                await self._apply(ss, action)
        except (StatusError, ConnectionError, TimeoutError, ClaimsMissing) as error:
            return error
        return None

    async def _apply(self, ss: apps.StatefulSet, action: plan.Action) -> None:
        pod = action.pod
        match action:
            case plan.CreatePod():
                await self._create(ss, pod)
            case plan.EnsureClaims():
                await self._make_claims(ss, pod)
            case plan.UpdatePod():
                await self._update(ss, pod)
            case plan.FixClaims():
                await self._fix_claims(ss, pod)
            case plan.DeletePod():
                await self._delete(ss, pod)

    def _tell(self, ss: apps.StatefulSet, verb: str, pod: core.Pod, error: Exception | None = None) -> None:
        text = f"{verb} Pod {pod.metadata.name} in StatefulSet {ss.metadata.name}"
        if error is None:
            self.recorder.normal(ss, f"Successful{verb.title()}", f"{text} successful")
        else:
            self.recorder.warning(ss, f"Failed{verb.title()}", f"{text} failed error: {error}")

    async def _create(self, ss: apps.StatefulSet, pod: core.Pod) -> None:
        try:
            await self._make_claims(ss, pod)
            created = await self.client.create(pod)
        except ClaimsMissing as error:
            self._tell(ss, "create", pod, error)
            raise
        except StatusError as error:
            if error.reason != "AlreadyExists" and not namespace_terminating(error):
                self._tell(ss, "create", pod, error)
            raise
        self._tell(ss, "create", pod)
        await self._fix_claims(ss, created)

    async def _update(self, ss: apps.StatefulSet, pod: core.Pod) -> None:
        try:
            await self._make_claims(ss, pod)
        except ClaimsMissing as error:
            self._tell(ss, "update", pod, error)
            raise
        await self._fix_claims(ss, pod)
        repaired = plan.repaired(ss, pod)
        if repaired == pod:
            return
        try:
            await self.client.update(repaired)
        except StatusError as error:
            self._tell(ss, "update", pod, error)
            raise
        self._tell(ss, "update", pod)

    async def _delete(self, ss: apps.StatefulSet, pod: core.Pod) -> None:
        try:
            await self.client.delete(core.Pod, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid)
        except StatusError as error:
            if error.code == 404:
                return
            self._tell(ss, "delete", pod, error)
            raise
        self._tell(ss, "delete", pod)

    # --- claims

    def _existing_claims(self, ss: apps.StatefulSet, pod: core.Pod) -> list[core.PersistentVolumeClaim]:
        names = [plan.claim_name(ss, claim, plan.ordinal(pod)) for claim in ss.spec.volume_claim_templates]
        claims = (self._claims.get(name, ss.metadata.namespace) for name in names)
        return [claim for claim in claims if claim is not None]

    def _is_stale(self, ss: apps.StatefulSet, pod: core.Pod) -> bool:
        return any(plan.claim_is_stale(pod, claim) for claim in self._existing_claims(ss, pod))

    def _owners_match(self, ss: apps.StatefulSet, pod: core.Pod) -> bool:
        return all(
            plan.claim_owners(ss, pod, claim) == claim.metadata.owner_references
            for claim in self._existing_claims(ss, pod)
        )

    async def _make_claims(self, ss: apps.StatefulSet, pod: core.Pod) -> None:
        """All that are not there; ClaimsMissing with every claim that could not be had, after all were tried."""
        problems: list[str] = []
        for claim in plan.claims_of(ss, plan.ordinal(pod)):
            existing = self._claims.get(claim.metadata.name, claim.metadata.namespace)
            if existing is not None:
                if existing.metadata.deletion_timestamp is not None:
                    problems.append(f"pvc {claim.metadata.name} is being deleted")
                continue
            where = f"Pod {pod.metadata.name} in StatefulSet {ss.metadata.name}"
            try:
                await self.client.create(claim)
            except StatusError as error:
                if error.reason == "AlreadyExists":
                    continue
                text = f"create Claim {claim.metadata.name} for {where} failed error: {error}"
                self.recorder.warning(ss, "FailedCreate", text)
                problems.append(f"failed to create PVC {claim.metadata.name}: {error}")
                continue
            self.recorder.normal(ss, "SuccessfulCreate", f"create Claim {claim.metadata.name} {where} success")
        if problems:
            raise ClaimsMissing(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")

    async def _fix_claims(self, ss: apps.StatefulSet, pod: core.Pod) -> None:
        for claim in self._existing_claims(ss, pod):
            owners = plan.claim_owners(ss, pod, claim)
            if owners != claim.metadata.owner_references:
                await self.client.update(plan.with_owners(claim, owners))

    # --- revisions and status

    async def _claimed_revisions(self, ss: apps.StatefulSet) -> list[apps.ControllerRevision]:
        claims = Claims(self.client, apps.ControllerRevision, ss, as_selector(ss.spec.selector))
        return by_number(await claims.claim(owned_and_orphans(self._revisions, ss)))

    async def _update_revision(
        self, ss: apps.StatefulSet, revisions: Sequence[apps.ControllerRevision]
    ) -> apps.ControllerRevision:
        existing, number = plan.choose_revisions(ss, revisions, lambda r: holds(r, ss.spec.template))
        if existing is not None:
            if existing.revision == number:
                return existing
            return await history.renumber(self.client, existing, number, self.context.clock)
        hashed = revision_hash(data_of(ss.spec.template), ss.status.collision_count)
        try:
            return await history.create(self.client, new_revision(ss, plan.HASH_LABEL, hashed, number), ss)
        except history.Collision as collision:
            copy = clone(ss)
            copy.status.collision_count = (copy.status.collision_count or 0) + 1
            await self.client.update(copy, "status")
            raise Again(f"the revision's name {collision} is taken: another hash is tried") from collision

    async def _clean_up(
        self,
        ss: apps.StatefulSet,
        revisions: Sequence[apps.ControllerRevision],
        pods: Sequence[core.Pod],
        live: Sequence[str],
    ) -> None:
        for revision in plan.surplus_revisions(ss, revisions, pods, live):
            await self.client.delete(apps.ControllerRevision, revision.metadata.name, revision.metadata.namespace)


def _revision(ss: apps.StatefulSet, revision: apps.ControllerRevision) -> plan.Revision:
    return plan.Revision(revision.metadata.name, template_in(revision) or ss.spec.template)
