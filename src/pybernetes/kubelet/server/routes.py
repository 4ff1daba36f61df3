"""Paths of the HTTPS port and the rights they want (upstream: pkg/kubelet/server/auth.go, server.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

from pybernetes.api.strconv import parse_int
from pybernetes.api.times import parse_time
from pybernetes.component.delegated import Ask

VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# Since 1.36 a path may be let in by a right of its own; nodes/proxy is asked for where that is refused.
FINE = {"/healthz": "healthz", "/pods": "pods", "/runningpods": "pods", "/configz": "configz"}
FALSE = ("false", "0")


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is the handler's; `subresource` the right on nodes."""

    name: str
    pattern: re.Pattern[str]
    methods: tuple[str, ...] = ("GET",)
    subresource: str = "proxy"


_POD = r"(?P<namespace>[^/]+)/(?P<pod>[^/]+)"
_WITH_UID = rf"{_POD}(?:/(?P<uid>[^/]+))?"
_STREAM = ("GET", "POST")
ROUTES = (
    Route("healthz", re.compile(r"/healthz(?:/(?P<check>\w+))?"), ("GET", "HEAD")),
    Route("pods", re.compile(r"/pods/?")),
    Route("runningpods", re.compile(r"/runningpods/?")),
    Route("configz", re.compile(r"/configz")),
    Route("stats", re.compile(r"/stats/summary"), ("GET", "POST"), "stats"),
    Route("metrics", re.compile(r"/metrics"), ("GET",), "metrics"),
    Route("metrics_cadvisor", re.compile(r"/metrics/cadvisor"), ("GET",), "metrics"),
    Route("metrics_resource", re.compile(r"/metrics/resource"), ("GET",), "metrics"),
    Route("metrics_probes", re.compile(r"/metrics/probes"), ("GET",), "metrics"),
    Route("logs", re.compile(rf"/containerLogs/{_POD}/(?P<container>[^/]+)")),
    Route("exec", re.compile(rf"/exec/{_WITH_UID}/(?P<container>[^/]+)"), _STREAM),
    Route("attach", re.compile(rf"/attach/{_WITH_UID}/(?P<container>[^/]+)"), _STREAM),
    Route("port_forward", re.compile(rf"/portForward/{_WITH_UID}"), _STREAM),
    Route("run", re.compile(rf"/run/{_WITH_UID}/(?P<container>[^/]+)"), ("POST",)),
)
# A known beginning with a wrong end is answered otherwise than what is not known at all.
ROOTS = ("/containerLogs", "/exec", "/attach", "/portForward", "/run", "/stats")


def find(path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a path and its parts."""
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match:
            return route, {key: value for key, value in match.groupdict().items() if value}
    return None


def asks(method: str, path: str, route: Route, node: str) -> list[Ask]:
    """The rights of which one must be had, the finest first."""
    verb = VERBS.get(method, "get")
    fine = FINE.get("/" + path.strip("/").split("/")[0])
    names = ([fine] if fine else []) + [route.subresource]
    return [Ask(verb, resource="nodes", subresource=name, name=node) for name in names]


STREAMS = ("", "All", "Stdout", "Stderr")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """PodLogOptions as the query has them."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    limit: int | None = None
    since_seconds: int | None = None
    since: datetime | None = None
    stream: str = ""  # Stdout or Stderr; both otherwise


class UndecodableQuery(ValueError):
    """A value that is no number or time: 400."""


class InvalidQuery(ValueError):
    """Values that may not be: 422."""


def log_query(text: str) -> LogQuery:
    query = {key: values[0] for key, values in parse_qs(text, keep_blank_values=True).items()}

    def truth(name: str) -> bool:
        return name in query and query[name].lower() not in FALSE

    try:
        numbers = {
            name: parse_int(query[name]) for name in ("tailLines", "limitBytes", "sinceSeconds") if query.get(name)
        }
        since = parse_time(query["sinceTime"]) if query.get("sinceTime") else None
    except ValueError as error:
        raise UndecodableQuery(str(error)) from error
    options = LogQuery(
        truth("follow"),
        truth("previous"),
        truth("timestamps"),
        numbers.get("tailLines"),
        numbers.get("limitBytes"),
        numbers.get("sinceSeconds"),
        since,
        query.get("stream", ""),
    )
    too_small = (
        (options.tail is not None and options.tail < 0)
        or (options.limit is not None and options.limit < 1)
        or (options.since_seconds is not None and options.since_seconds < 1)
    )
    if too_small or (options.since_seconds is not None and since is not None):
        raise InvalidQuery("the log options contradict each other")
    if options.stream not in STREAMS:
        raise InvalidQuery(f"there is no stream {options.stream}")
    return options
