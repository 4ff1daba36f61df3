"""/debug/api_priority_and_fairness: what waits and runs, for people (upstream: flowcontrol/apf_controller_debug.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from pybernetes.api import times

from ..types import RequestInfo
from .controller import FlowControl, Level
from .queueset import Queue, Request, oldest_first, printed

PREFIX = "/debug/api_priority_and_fairness/"
MIN_WIDTH, PADDING = 8, 1
SHOWN_QUEUES = 10_000  # of a level with more, those with requests are shown
LEVELS = (
    *("PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"),
    *("DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests"),
)
QUEUES = (
    *("PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR"),
    *("InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum"),
)
REQUESTS = (
    *("PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher", "ArriveTime"),
    *("InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime"),
)
DETAILS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")
ZERO_TIME = "0001-01-01T00:00:00Z"

Row = Sequence[str]
# Of a request: (user's name, what it asks for).
Describe = Callable[[Request], tuple[str, RequestInfo]]


def levels(control: FlowControl) -> str:
    """A line for each level."""
    return table(LEVELS, (_level_row(name, level) for name, level in sorted(control.levels.items())))


def _level_row(name: str, level: Level) -> Row:
    queues = level.queues
    numbers = (queues.waiting, queues.executing, queues.dispatched, queues.rejected, 0, queues.cancelled)
    idle, quiescing = str(queues.idle).lower(), str(level.quiescing).lower()
    return name, str(len(queues.backlog)), idle, quiescing, *map(str, numbers)


def queues(control: FlowControl) -> str:
    """A line for each queue."""
    rows = (_queue_row(name, queue) for name, level in sorted(control.levels.items()) for queue in _queues(level))
    return table(QUEUES, rows)


def _queues(level: Level) -> Iterable[Queue]:
    busy, number = level.queues.busy, level.queues.queues
    idle = range(number) if number <= SHOWN_QUEUES else ()
    return (busy.get(index) or Queue(index) for index in sorted({*idle, *busy}))


def _queue_row(level: str, queue: Queue) -> Row:
    counts = (queue.index, len(queue.waiting), len(queue.executing), queue.seats_in_use)
    sums = (str(queue.initial_seats_waiting), str(queue.seats_waiting), printed(queue.work_waiting))
    return level, *map(str, counts), printed(queue.next_dispatch), *sums


def requests(control: FlowControl, now: datetime, monotonic: float, describe: Describe | None) -> str:
    """A line for each request, with `describe` also who asks for what; `now` and `monotonic` are the same moment."""

    def at(moment: float) -> str:
        return times.format_micro_time(now - timedelta(seconds=monotonic - moment))

    def row(level: str, place: tuple[int, int], request: Request) -> Row:
        estimate = request.estimate
        latency = f"{round(estimate.additional_latency * 1000, 6):g}ms" if estimate.additional_latency else "0s"
        numbers = (str(estimate.initial_seats), str(estimate.final_seats), latency)
        started = at(request.started) if request.started else ZERO_TIME
        plain = (level, request.schema, *map(str, place), request.distinguisher, at(request.arrived), *numbers, started)
        return plain if describe is None else (*plain, *_details(*describe(request)))

    rows = (row(name, *one) for name, level in sorted(control.levels.items()) for one in _requests(level))
    return table(REQUESTS if describe is None else (*REQUESTS, *DETAILS), rows)


def _requests(level: Level) -> Iterable[tuple[tuple[int, int], Request]]:
    """With (queue, place in it), -1 where there is none."""
    for index, queue in sorted(level.queues.busy.items()):
        yield from (((index, place), request) for place, request in enumerate(queue.waiting))
        yield from (((index, -1), request) for request in oldest_first(queue.executing))
    yield from (((-1, -1), request) for request in oldest_first(level.queues.queueless))


def _details(user: str, info: RequestInfo) -> Row:
    version = f"{info.group}/{info.version}" if info.group else info.version
    return user, info.verb, info.path, info.namespace, info.name, version, info.resource, info.subresource


def table(header: Row, rows: Iterable[Row]) -> str:
    """Columns with commas, as text/tabwriter aligns them: the last one is left as it is."""
    lines = [header, *rows]
    widths = [max(MIN_WIDTH, *(len(line[place]) + 1 + PADDING for line in lines)) for place in range(len(header) - 1)]
    return "".join(
        "".join(f"{cell},".ljust(width) for cell, width in zip(line[:-1], widths, strict=True)) + line[-1] + "\n"
        for line in lines
    )
