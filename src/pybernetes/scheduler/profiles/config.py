"""KubeSchedulerConfiguration, kubescheduler.config.k8s.io/v1 (upstream: pkg/scheduler/apis/config).

Extenders are refused: they are not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..framework.interface import Cluster, Handle, Plugin, SortKey
from ..framework.permits import WaitingPods
from ..framework.queue import FIRST_BACKOFF, MAX_BACKOFF
from ..model.pods import DEFAULT_SCHEDULER, PodInfo
from ..model.table import NodeTable
from ..options import API_VERSION, KIND
from ..plugins import PLUGINS
from .profile import Profile

MULTI = "multiPoint"
POINTS = (
    "preEnqueue",
    "queueSort",
    "preFilter",
    "filter",
    "postFilter",
    "preScore",
    "score",
    "reserve",
    "permit",
    "preBind",
    "bind",
    "postBind",
)


Registry = Sequence[type[Plugin]]


class ConfigError(ValueError):
    """A configuration that cannot be used; one line that says where."""


@dataclass(frozen=True, slots=True)
class ProfileOptions:
    """`plugins` and `arguments` as the file has them."""

    name: str = DEFAULT_SCHEDULER
    plugins: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """What the scheduler is told at its start."""

    profiles: Sequence[ProfileOptions] = (ProfileOptions(),)
    initial_backoff: float = FIRST_BACKOFF
    max_backoff: float = MAX_BACKOFF
    concurrent_bindings: int = 32
    registry: Registry = PLUGINS  # what there is to choose from: upstream's plug-ins and one's own


def parse(document: Any, registry: Registry = PLUGINS) -> Options:
    """`registry`: the plug-ins that the document may name, one's own after `PLUGINS`.

    ConfigError where the document is none of these, or names what is not there.
    """
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("apiVersion") != API_VERSION:
        kind = f"{document.get('apiVersion')}, {document.get('kind')}" if isinstance(document, dict) else "no object"
        raise ConfigError(f"want {KIND} of {API_VERSION}, not {kind}")
    if document.get("extenders"):
        raise ConfigError("extenders: not supported")
    profiles = [_profile(index, raw, registry) for index, raw in enumerate(document.get("profiles") or [{}])]
    names = [profile.name for profile in profiles]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigError(f"profiles[{index}].schedulerName: Duplicate value: {name!r}")
    first = document.get("podInitialBackoffSeconds", FIRST_BACKOFF)
    longest = document.get("podMaxBackoffSeconds", MAX_BACKOFF)
    if first <= 0:
        raise ConfigError(f"podInitialBackoffSeconds: Invalid value: {first}: must be greater than 0")
    if longest < first:
        raise ConfigError(
            f"podMaxBackoffSeconds: Invalid value: {longest}: must be greater than or equal to PodInitialBackoffSeconds"
        )
    return Options(
        profiles,
        float(first),
        float(longest),
        registry=registry,
    )


def _profile(index: int, raw: Mapping[str, Any], registry: Registry) -> ProfileOptions:
    place = f"profiles[{index}]"
    registered = {plugin.name for plugin in registry}
    arguments: dict[str, Mapping[str, Any]] = {}
    for number, item in enumerate(raw.get("pluginConfig") or ()):
        if item.get("name") not in registered:
            raise ConfigError(f"{place}.pluginConfig[{number}]: Invalid value: {item.get('name')!r}: not a plugin")
        if item["name"] in arguments:
            raise ConfigError(f"{place}.pluginConfig[{number}]: Duplicate value: {item['name']!r}")
        arguments[item["name"]] = item.get("args") or {}
    for point, sets in (raw.get("plugins") or {}).items():
        if point not in (*POINTS, MULTI):
            raise ConfigError(f'{place}.plugins: unknown field "{point}"')
        for item in (sets or {}).get("enabled") or ():
            if item.get("name") not in registered:
                raise ConfigError(f"{place}.plugins.{point}.enabled: Invalid value: {item.get('name')!r}: not a plugin")
    return ProfileOptions(raw.get("schedulerName") or DEFAULT_SCHEDULER, raw.get("plugins") or {}, arguments)


def enabled(plugins: Mapping[str, Any], point: str) -> list[tuple[str, int]]:
    """(plug-in, weight or 0) of an extension point: the defaults, changed by multiPoint, changed by the point's own set."""
    defaults = [(plugin.name, 0) for plugin in PLUGINS]
    merged = _merge(defaults, plugins.get(MULTI) or {})
    return _merge(merged, plugins.get(point) or {})


def _merge(defaults: Sequence[tuple[str, int]], change: Mapping[str, Any]) -> list[tuple[str, int]]:
    off = {item["name"] for item in change.get("disabled") or ()}
    on = {item["name"]: int(item.get("weight") or 0) for item in change.get("enabled") or ()}
    remaining = [] if "*" in off else [(name, on.get(name, weight)) for name, weight in defaults if name not in off]
    there = {name for name, _ in remaining}
    return remaining + [(name, weight) for name, weight in on.items() if name not in there]


@dataclass(frozen=True, slots=True)
class Built:
    """A profile with all its plug-ins by name, and those that have something to do between decision and binding."""

    profile: Profile
    plugins: Mapping[str, Plugin]
    binders: Sequence[Plugin]
    post_filters: Sequence[Plugin]
    permits: Sequence[Plugin]
    queue_sort: Plugin


def build(
    options: ProfileOptions,
    table: NodeTable,
    cluster: Cluster,
    waiting: WaitingPods | None = None,
    registry: Registry = PLUGINS,
) -> Built:
    """Makes the plug-ins of a profile. ConfigError where it has no order of the queue, or two."""
    handle = Handle(table, cluster, waiting or WaitingPods())
    chosen = {point: enabled(options.plugins, point) for point in POINTS}
    enabled_names = {name for pairs in chosen.values() for name, _ in pairs}
    plugins = {p.name: p(options.arguments.get(p.name, {}), handle) for p in registry if p.name in enabled_names}
    filters = [plugins[name] for name, _ in chosen["filter"] if plugins[name].filters is not None]
    scorers = [
        (plugins[name], weight or plugins[name].weight)
        for name, weight in chosen["score"]
        if plugins[name].scores is not None
    ]

    def defining(point: str, method: str) -> list[Plugin]:
        own = (plugins[name] for name, _ in chosen[point])
        return [plugin for plugin in own if getattr(type(plugin), method) is not getattr(Plugin, method)]

    gates = defining("preEnqueue", "pre_enqueue")
    profile = Profile(options.name, filters, scorers, gates, table, cluster)
    orders = defining("queueSort", "sort_key")
    if len(orders) != 1:
        names = ", ".join(plugin.name for plugin in orders) or "none"
        raise ConfigError(f"{options.name}: exactly one queue sort plugin must be enabled, not {names}")
    binders = [plugin for plugin in plugins.values() if type(plugin).reserve is not Plugin.reserve]
    post_filters, permits = defining("postFilter", "post_filter"), defining("permit", "permit")
    return Built(profile, plugins, binders, post_filters, permits, orders[0])


def queue_order(profiles: Sequence[Built]) -> Callable[[PodInfo, float], SortKey]:
    """The order of the one queue that all profiles share. ConfigError where they differ in it."""
    first = profiles[0].queue_sort
    for built in profiles[1:]:
        if built.queue_sort.name != first.name:
            raise ConfigError(
                f"{built.profile.name}: different queue sort plugins: {built.queue_sort.name}, {first.name}"
            )
    return first.sort_key
