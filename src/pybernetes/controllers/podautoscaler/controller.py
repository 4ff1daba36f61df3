"""Scales what has a scale by metrics (upstream: pkg/controller/podautoscaler). Numbers: calculator.py, limits: limits.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pybernetes.api import labels, types
from pybernetes.api.errors import StatusError
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import autoscaling_v1, core_v1
from pybernetes.api.types import autoscaling_v2 as autoscaling

from ..common import Key, clone, key_of, shown_selector
from ..framework import Context, Controller
from ..indexers import BY_LABEL, index_by_label
from . import calculator as calc
from . import limits
from .metrics import MetricsClient
from .plan import HPA, ambiguity, first_error, has_kind, is_no_path, scale_path, set_condition, unknown_kind
from .selectors import Selectors

Measured = tuple[calc.Proposal, autoscaling.MetricStatus, str]  # replicas, what the status shows, the metric's name
NO_SELECTOR = ("InvalidSelector", "the HPA target's scale is missing a selector")

NO_RESOURCE_TARGET = (
    "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set"
)

REASONS = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}


class HorizontalController(Controller):
    """One queue of autoscalers, each looked at again after the sync period."""

    name = "horizontal-pod-autoscaler-controller"
    component = account = "horizontal-pod-autoscaler"
    queue_name = "horizontalpodautoscaler"
    max_retries = 0  # the next period is the next try

    def __init__(self, context: Context) -> None:
        options = context.options
        super().__init__(context, options.concurrent_horizontal_pod_autoscaler_syncs)
        self._period = options.horizontal_pod_autoscaler_sync_period
        self._window = float(options.horizontal_pod_autoscaler_downscale_stabilization)
        tolerance = options.horizontal_pod_autoscaler_tolerance
        self._configuration = calc.HPAControllerConfiguration(
            timedelta(seconds=options.horizontal_pod_autoscaler_cpu_initialization_period),
            timedelta(seconds=options.horizontal_pod_autoscaler_initial_readiness_delay),
            tolerance,
            tolerance,
        )
        self._metrics = MetricsClient(self.client)
        self._histories: dict[Key, limits.History] = {}
        self._selectors = Selectors()
        self._hpas = self.informer(HPA)
        self._pods = self.informer(core_v1.Pod)
        self._pods.add_index(BY_LABEL, index_by_label)
        self._hpas.add_handler(self._on_hpa)

    def _on_hpa(self, old: HPA | None, new: HPA | None) -> None:
        """Own status writes are no reason to look again before the period is over."""
        if new is None or old is None or old.spec != new.spec:
            self.on_change(old, new)

    async def sync(self, key: Key) -> None:
        """Reads the scale and the metrics, sets the size, writes the status."""
        cached = self._hpas.get(key[1], key[0])
        if cached is None:
            self._histories.pop(key, None)
            self._selectors.remove(key)
            return
        hpa = clone(cached)
        try:
            await self._reconcile(hpa)
        finally:
            self.queue.add_after(key, self._period)
            if hpa.status != cached.status:
                await self.client.update(hpa, "status")

    async def _reconcile(self, hpa: HPA) -> None:
        now = self.now()
        hpa.status.observed_generation = hpa.metadata.generation or hpa.status.observed_generation
        scale = await self._scale(hpa, now)
        if scale is None:
            return
        current, least, most = scale.spec.replicas, hpa.spec.min_replicas, hpa.spec.max_replicas
        least = 1 if least is None else least
        history = self._histories.setdefault(key_of(hpa), limits.History([(self.monotonic(), current)]))
        text = "the HPA controller was able to get the target's current scale"
        set_condition(hpa, "AbleToScale", "True", "SucceededGetScale", text, now)
        desired, reason = current, ""
        if current == 0 and least != 0:
            desired = 0
            text = "scaling is disabled since the replica count of the target is zero"
            set_condition(hpa, "ScalingActive", "False", "ScalingDisabled", text, now)
        elif current > most:
            desired, reason = most, "Current number of replicas above Spec.MaxReplicas"
        elif current < least:
            desired, reason = least, "Current number of replicas below Spec.MinReplicas"
        else:
            computed = await self._by_metrics(hpa, scale, now)
            if computed is None:
                hpa.status.current_replicas = current
                return
            desired, metric = computed
            reason = f"{metric} above target" if desired > current else "All metrics below target"
            desired = self._limit(hpa, history, current, desired, least, now)
        if desired != current and not await self._rescale(hpa, scale, desired, reason, history, now):
            return
        hpa.status.current_replicas, hpa.status.desired_replicas = current, desired
        if desired != current:
            hpa.status.last_scale_time = now.replace(microsecond=0)

    async def _scale(self, hpa: HPA, now: datetime) -> autoscaling_v1.Scale | None:
        try:
            return types.decode(await self.client.raw("GET", scale_path(hpa)), autoscaling_v1.Scale)
        except StatusError as error:
            unknown = is_no_path(error) and not await self._is_served(hpa.spec.scale_target_ref)
            failure = unknown_kind(hpa) if unknown else str(error)
            self.recorder.warning(hpa, "FailedGetScale", failure)
            text = f"the HPA controller was unable to get the target's current scale: {failure}"
            set_condition(hpa, "AbleToScale", "False", "FailedGetScale", text, now)
            return None

    async def _is_served(self, target: autoscaling.CrossVersionObjectReference) -> bool:
        version = target.api_version
        try:
            answer = await self.client.raw("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")
        except StatusError:
            return False
        return has_kind(json.loads(answer).get("resources") or (), target.kind)

    async def _rescale(
        self, hpa: HPA, scale: autoscaling_v1.Scale, size: int, reason: str, history: limits.History, now: datetime
    ) -> bool:
        current, scale.spec.replicas = scale.spec.replicas, size
        try:
            await self.client.raw("PUT", scale_path(hpa), types.encode(scale))
        except StatusError as error:
            self.recorder.warning(hpa, "FailedRescale", f"New size: {size}; reason: {reason}; error: {error}")
            text = f"the HPA controller was unable to update the target scale: {error}"
            set_condition(hpa, "AbleToScale", "False", "FailedUpdateScale", text, now)
            hpa.status.current_replicas = current
            return False
        text = f"the HPA controller was able to update the target scale to {size}"
        set_condition(hpa, "AbleToScale", "True", "SucceededRescale", text, now)
        self.recorder.normal(hpa, "SuccessfulRescale", f"New size: {size}; reason: {reason}")
        history.scaled(self.monotonic(), current, size, limits.longest_period(hpa.spec.behavior))
        return True

    def _limit(self, hpa: HPA, history: limits.History, current: int, desired: int, least: int, now: datetime) -> int:
        most, behavior, uptime = hpa.spec.max_replicas, hpa.spec.behavior, self.monotonic()
        if behavior is None:
            step = limits.simple_step(history, uptime, current, desired, least, most, self._window)
        else:
            step = limits.behaved_step(history, uptime, current, desired, least, most, behavior, self._window)
        set_condition(hpa, "AbleToScale", "True", *step.able, now)
        set_condition(hpa, "ScalingLimited", "True" if step.limited else "False", *step.why, now)
        return step.replicas

    # --- metrics

    async def _by_metrics(self, hpa: HPA, scale: autoscaling_v1.Scale, now: datetime) -> tuple[int, str] | None:
        """The highest proposal and its metric; None where nothing can be said, or only that less would do."""
        pods = self._validated(hpa, scale.status.selector, now)
        if pods is None:
            return None
        proposals: list[Measured] = []
        errors: list[tuple[str, str, str]] = []  # reason, what condition and event say, what their sum says
        for spec in hpa.spec.metrics:
            try:
                proposals.append(await self._metric(hpa, spec, scale, pods, now))
            except calc.Unknown as error:
                reason = REASONS.get(spec.type, "InvalidMetricSourceType")
                self.recorder.warning(hpa, reason, str(error))
                errors.append((reason, str(error), first_error(spec, str(error))))
        best = max(proposals, key=lambda measured: measured[0].replicas, default=None)
        if errors and (best is None or best[0].replicas < scale.spec.replicas):
            reason, message, first = errors[0]
            text = f"the HPA was unable to compute the replica count: {message}"
            set_condition(hpa, "ScalingActive", "False", reason, text, now)
            text = f"invalid metrics ({len(errors)} invalid out of {len(hpa.spec.metrics)}), first error is: {first}"
            self.recorder.warning(hpa, "FailedComputeMetricsReplicas", text)
            return None
        if best is None:
            return None
        hpa.status.current_metrics = [measured[1] for measured in proposals]
        text = f"the HPA was able to successfully calculate a replica count from {best[2]}"
        set_condition(hpa, "ScalingActive", "True", "ValidMetricFound", text, now)
        return best[0].replicas, best[2]

    def _validated(self, hpa: HPA, text: str, now: datetime) -> list[core_v1.Pod] | None:
        """The pods of the target's selector; None where it has none, or others scale them, too (validateAndParseSelector)."""
        if not text:
            self._refuse_selector(hpa, ("SelectorRequired", "selector is required"), NO_SELECTOR, now)
            return None
        key = key_of(hpa)
        self._selectors.put(key, text)
        pods = self._selected(hpa.metadata.namespace, text)
        sharing = self._selectors.sharing(key[0], (pod.metadata.labels for pod in pods))
        if len(sharing) > 1:
            refusal = ("AmbiguousSelector", ambiguity(text, sharing))
            self._refuse_selector(hpa, refusal, refusal, now)
            return None
        return pods

    def _refuse_selector(self, hpa: HPA, event: tuple[str, str], why: tuple[str, str], now: datetime) -> None:
        self.recorder.warning(hpa, *event)
        set_condition(hpa, "ScalingActive", "False", *why, now)
        self.recorder.warning(hpa, "FailedComputeMetricsReplicas", event[1])

    def _selected(self, namespace: str, text: str) -> list[core_v1.Pod]:
        selector = labels.parse_selector(text)
        pair = next(
            (part for part in text.split(",") if part.count("=") == 1 and "!" not in part and " " not in part), ""
        )
        candidates = self._pods.by_index(BY_LABEL, f"{namespace}/{pair}") if pair else self._pods.list(namespace)
        return [pod for pod in candidates if selector.matches(pod.metadata.labels)]

    def _for(self, hpa: HPA) -> calc.HPAControllerConfiguration:
        behavior, configuration = hpa.spec.behavior, self._configuration
        if behavior is not None and behavior.scale_up is not None and behavior.scale_up.tolerance is not None:
            configuration = replace(configuration, tolerance_up=behavior.scale_up.tolerance.milli_value() / 1000)
        if behavior is not None and behavior.scale_down is not None and behavior.scale_down.tolerance is not None:
            configuration = replace(configuration, tolerance_down=behavior.scale_down.tolerance.milli_value() / 1000)
        return configuration

    async def _metric(
        self,
        hpa: HPA,
        spec: autoscaling.MetricSpec,
        scale: autoscaling_v1.Scale,
        pods: Sequence[core_v1.Pod],
        now: datetime,
    ) -> Measured:
        if spec.resource is not None:
            source = spec.resource
            return await self._resource(hpa, spec.type, source.name, source.target, "", scale, pods, now)
        if spec.container_resource is not None:
            inner = spec.container_resource
            return await self._resource(hpa, spec.type, inner.name, inner.target, inner.container, scale, pods, now)
        if spec.pods is not None:
            return await self._pods_metric(hpa, spec.pods, scale, pods, now)
        if spec.object is not None:
            return await self._object(hpa, spec.object, scale, pods)
        if spec.external is not None:
            return await self._external(hpa, spec.external, scale, pods)
        raise calc.Unknown(f'unknown metric source type "{spec.type}"')

    async def _resource(
        self,
        hpa: HPA,
        type: str,
        name: str,
        target: autoscaling.MetricTarget,
        container: str,
        scale: autoscaling_v1.Scale,
        pods: Sequence[core_v1.Pod],
        now: datetime,
    ) -> Measured:
        if target.average_value is None and target.average_utilization is None:
            raise calc.Unknown(NO_RESOURCE_TARGET)
        what = "usage" if target.average_value is not None else "utilization"
        current, configuration, selector = scale.spec.replicas, self._for(hpa), scale.status.selector
        try:
            samples = await self._metrics.resource(name, hpa.metadata.namespace, selector, container)
        except calc.Unknown as error:
            text = f"failed to get {name} {what}: unable to get metrics for resource {name}: {error}"
            raise calc.Unknown(text) from error
        label = f"{name} resource"
        try:
            if target.average_value is not None:
                average = target.average_value.milli_value()
                proposal = calc.by_average(current, average, name, pods, samples, configuration, now)
            else:
                percent = target.average_utilization or 0
                proposal = calc.by_utilization(current, percent, name, pods, samples, configuration, now, container)
                label = f"{name} {'container ' if container else ''}resource utilization (percentage of request)"
        except calc.Unknown as error:
            raise calc.Unknown(f"failed to get {name} {what}: {error}") from error
        value = autoscaling.MetricValueStatus(
            average_utilization=proposal.percent, average_value=Quantity.from_milli(proposal.average)
        )
        status = autoscaling.MetricStatus(type=type)
        if container:
            status.container_resource = autoscaling.ContainerResourceMetricStatus(
                name=name, container=container, current=value
            )
        else:
            status.resource = autoscaling.ResourceMetricStatus(name=name, current=value)
        return proposal, status, label

    async def _pods_metric(
        self,
        hpa: HPA,
        source: autoscaling.PodsMetricSource,
        scale: autoscaling_v1.Scale,
        pods: Sequence[core_v1.Pod],
        now: datetime,
    ) -> Measured:
        metric, average = source.metric, source.target.average_value
        if average is None:
            raise calc.Unknown("invalid pods metric source: no average value target was set")
        try:
            samples = await self._metrics.pods(metric, hpa.metadata.namespace, scale.status.selector)
        except calc.Unknown as error:
            raise calc.Unknown(f"unable to get metric {metric.name}: {error}") from error
        target = average.milli_value()
        proposal = calc.by_average(scale.spec.replicas, target, "", pods, samples, self._for(hpa), now)
        value = autoscaling.MetricValueStatus(average_value=Quantity.from_milli(proposal.average))
        status = autoscaling.PodsMetricStatus(metric=metric, current=value)
        return proposal, autoscaling.MetricStatus(type="Pods", pods=status), f"pods metric {metric.name}"

    async def _object(
        self,
        hpa: HPA,
        source: autoscaling.ObjectMetricSource,
        scale: autoscaling_v1.Scale,
        pods: Sequence[core_v1.Pod],
    ) -> Measured:
        metric, about = source.metric, source.described_object
        try:
            value = await self._metrics.object(metric, hpa.metadata.namespace, about)
        except calc.Unknown as error:
            where = f"{about.kind} on {hpa.metadata.namespace} {about.name}"  # as upstream's arguments fall out
            raise calc.Unknown(f"unable to get metric {metric.name}: {where}/{error}") from error
        proposal, current = self._shared(hpa, source.target, value, scale, pods, "object")
        status = autoscaling.ObjectMetricStatus(metric=metric, described_object=about, current=current)
        label = f"{about.kind} metric {metric.name}"
        if source.target.average_value is not None:
            label = f"external metric {metric.name}({shown_selector(metric.selector)})"
        return proposal, autoscaling.MetricStatus(type="Object", object=status), label

    async def _external(
        self,
        hpa: HPA,
        source: autoscaling.ExternalMetricSource,
        scale: autoscaling_v1.Scale,
        pods: Sequence[core_v1.Pod],
    ) -> Measured:
        metric = source.metric
        try:
            value = await self._metrics.external(metric, hpa.metadata.namespace)
        except calc.Unknown as error:
            where = f"{hpa.metadata.namespace}/{metric.name}/{shown_selector(metric.selector)}"
            raise calc.Unknown(f"unable to get external metric {where}: {error}") from error
        proposal, current = self._shared(hpa, source.target, value, scale, pods, "external")
        status = autoscaling.ExternalMetricStatus(metric=metric, current=current)
        label = f"external metric {metric.name}({shown_selector(metric.selector)})"
        return proposal, autoscaling.MetricStatus(type="External", external=status), label

    def _shared(
        self,
        hpa: HPA,
        target: autoscaling.MetricTarget,
        value: int,
        scale: autoscaling_v1.Scale,
        pods: Sequence[core_v1.Pod],
        source: str,
    ) -> tuple[calc.Proposal, autoscaling.MetricValueStatus]:
        """For a metric of something that all pods share: by its whole value, or by each pod's part of it."""
        configuration = self._for(hpa)
        if target.average_value is not None:
            average = target.average_value.milli_value()
            replicas, share = calc.per_pod(scale.status.replicas, value, average, configuration)
            status = autoscaling.MetricValueStatus(average_value=Quantity.from_milli(share))
            return calc.Proposal(replicas, None, share), status
        if target.value is None:
            raise calc.Unknown(
                f"invalid {source} metric source: neither a value target nor an average value target was set"
            )
        replicas = calc.by_ratio(scale.spec.replicas, value / target.value.milli_value(), pods, configuration)
        return calc.Proposal(replicas, None, value), autoscaling.MetricValueStatus(value=Quantity.from_milli(value))
