"""Reads the metrics APIs (upstream: pkg/controller/podautoscaler/metrics): resource, custom and external metrics, as milli-units."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from pybernetes.api.durations import parse_duration
from pybernetes.api.errors import StatusError
from pybernetes.api.labels import as_selector
from pybernetes.api.quantity import Quantity
from pybernetes.api.resources import plural
from pybernetes.api.times import parse_time
from pybernetes.api.types import autoscaling_v2 as autoscaling
from pybernetes.client.types import Client

from .calculator import Sample, Unknown

RESOURCE = "/apis/metrics.k8s.io/v1beta1"
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
UNSERVED = {  # what client-go makes of an answer without a Status (NewGenericServerResponse)
    404: "the server could not find the requested resource",
    503: "the server is currently unable to handle the request",
}
WINDOW = timedelta(minutes=1)  # of a sample that does not say


class MetricsClient:
    """Each method raises Unknown with upstream's words."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def _get(self, path: str, what: str, api: str) -> Any:
        try:
            return msgspec.json.decode(await self._client.raw("GET", path))
        except StatusError as error:
            text = _failure(error, what, api)
            raise Unknown(f"unable to fetch metrics from {api} metrics API: {text}") from error

    async def resource(self, name: str, namespace: str, selector: str, container: str = "") -> dict[str, Sample]:
        """A resource's use by pod; of one container where it is named."""
        path = f"{RESOURCE}/namespaces/{namespace}/pods?{urlencode({'labelSelector': selector})}"
        answer = await self._get(path, "pods.metrics.k8s.io", "resource")
        if not answer.get("items"):
            raise Unknown("no metrics returned from resource metrics API")
        samples = {}
        for item in answer["items"]:
            value = _use(item, name, container)
            if value is not None:
                window = timedelta(seconds=parse_duration(item.get("window") or "1m"))
                samples[item["metadata"]["name"]] = Sample(value, parse_time(item["timestamp"]), window)
        return samples

    async def pods(self, metric: autoscaling.MetricIdentifier, namespace: str, selector: str) -> dict[str, Sample]:
        """A custom metric by pod."""
        query = {"labelSelector": selector, "metricLabelSelector": selector_text(metric)}
        path = f"{CUSTOM}/namespaces/{namespace}/pods/*/{quote(metric.name, safe='')}?{urlencode(query)}"
        answer = await self._get(path, "pods.custom.metrics.k8s.io", "custom")
        if not answer.get("items"):
            raise Unknown("no metrics returned from custom metrics API")
        return {
            item["describedObject"]["name"]: Sample(
                Quantity.parse(item["value"]).milli_value(),
                parse_time(item["timestamp"]),
                timedelta(seconds=item.get("windowSeconds") or WINDOW.total_seconds()),
            )
            for item in answer["items"]
        }

    async def object(
        self,
        metric: autoscaling.MetricIdentifier,
        namespace: str,
        about: autoscaling.CrossVersionObjectReference,
    ) -> int:
        """A custom metric of one object."""
        name = quote(metric.name, safe="")
        query = urlencode({"metricLabelSelector": selector_text(metric)})
        group = about.api_version.partition("/")[0] if "/" in about.api_version else ""
        kind = f"{plural(about.kind)}.{group}" if group else plural(about.kind)
        place = f"{kind}/{about.name}" if about.kind != "Namespace" else "metrics"
        answer = await self._get(
            f"{CUSTOM}/namespaces/{namespace}/{place}/{name}?{query}", f"{kind}.custom.metrics.k8s.io", "custom"
        )
        if not answer.get("items"):
            raise Unknown("no metrics returned from custom metrics API")
        return Quantity.parse(answer["items"][0]["value"]).milli_value()

    async def external(self, metric: autoscaling.MetricIdentifier, namespace: str) -> int:
        """The sum of an external metric."""
        query = urlencode({"labelSelector": selector_text(metric)})
        path = f"{EXTERNAL}/namespaces/{namespace}/{quote(metric.name, safe='')}?{query}"
        answer = await self._get(path, f"{metric.name}.external.metrics.k8s.io", "external")
        if not answer.get("items"):
            raise Unknown("no metrics returned from external metrics API")
        return sum(Quantity.parse(item["value"]).milli_value() for item in answer["items"])


def _failure(error: StatusError, what: str, api: str) -> str:
    """As client-go words an answer that is no Status. Of custom metrics upstream asks discovery first, which knows no such group."""
    if (error.status.get("details") or {}).get("name"):
        return str(error)
    if error.code == 404 and api == "custom":
        return "no custom metrics API (custom.metrics.k8s.io) registered"
    text = UNSERVED.get(error.code)
    return f"{text} (get {what})" if text is not None else str(error)


def _use(item: Any, resource: str, container: str) -> int | None:
    """None where a container has no figure: the pod's would be too small."""
    total = 0
    matching = [c for c in item["containers"] if container in ("", c["name"])]
    for one in matching:
        if resource not in one["usage"]:
            return None
        total += Quantity.parse(one["usage"][resource]).milli_value()
    return total if matching else None


def selector_text(metric: autoscaling.MetricIdentifier) -> str:
    """The selector of a metric as a query; "" for all."""
    return str(as_selector(metric.selector)) if metric.selector is not None else ""
