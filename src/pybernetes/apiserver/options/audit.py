"""Flags of kube-apiserver about its audit log (upstream: apiserver/pkg/server/options/audit.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.aio.clock import Clock

    from ..auditing.auditor import Auditor
    from ..auditing.metrics import AuditMetrics
    from ..auditing.sinks import Sink

MODES, FORMATS, VERSION = ("batch", "blocking", "blocking-strict"), ("legacy", "json"), "audit.k8s.io/v1"
MAX_BATCH_BYTES, MAX_EVENT_BYTES = 10 << 20, 100 << 10
BUFFER_SIZE = 10_000


def _batching(name: str, mode: str, max_size: int, max_wait: float, throttled: bool) -> tuple[Flag, ...]:
    """Those that both have."""
    prefix = f"audit-{name}"
    qps, burst = (10.0, 15) if throttled else (0.0, 0)
    return (
        Flag(f"{prefix}-mode", flags.string, mode, f"How requests wait for it: {', '.join(MODES)}."),
        Flag(f"{prefix}-batch-buffer-size", flags.integer, BUFFER_SIZE, "Events that wait, with batch; more are lost."),
        Flag(f"{prefix}-batch-max-size", flags.integer, max_size, "Events of one batch at most."),
        Flag(f"{prefix}-batch-max-wait", flags.duration, max_wait, "How long a batch waits to become full."),
        Flag(f"{prefix}-batch-throttle-enable", flags.boolean, throttled, "Bound the rate of batches."),
        Flag(f"{prefix}-batch-throttle-qps", flags.number, qps, "Batches a second, on average."),
        Flag(f"{prefix}-batch-throttle-burst", flags.integer, burst, "Batches at a time after a rest."),
        Flag(f"{prefix}-truncate-enabled", flags.boolean, False, "Leave objects out of events that are too large."),
        Flag(f"{prefix}-truncate-max-batch-size", flags.integer, MAX_BATCH_BYTES, "Bytes of one batch at most."),
        Flag(f"{prefix}-truncate-max-event-size", flags.integer, MAX_EVENT_BYTES, "Bytes of one event at most."),
        Flag(f"{prefix}-version", flags.string, VERSION, f"{VERSION}, the only one that there is."),
    )


FLAGS = (
    Flag("audit-policy-file", flags.string, "", "What is written of which requests; without one nothing is."),
    Flag("audit-log-path", flags.string, "", "The file that events are written to; -: standard output."),
    Flag("audit-log-format", flags.string, "json", "json, or legacy: a line of text."),
    Flag("audit-log-maxage", flags.integer, 366, "Days that files which were set aside are kept; 0: for ever."),
    Flag("audit-log-maxbackup", flags.integer, 100, "Files that were set aside and are kept; 0: all."),
    Flag("audit-log-maxsize", flags.integer, 100, "Megabytes after which the file is set aside; 0: never."),
    Flag("audit-log-compress", flags.boolean, False, "Compress files that were set aside with gzip."),
    *_batching("log", "blocking", 1, 0.0, False),
    Flag("audit-webhook-config-file", flags.string, "", "A kubeconfig of the server that events are sent to."),
    Flag("audit-webhook-initial-backoff", flags.duration, 10.0, "How long the second try of a request waits."),
    Flag("audit-webhook-batch-initial-backoff", flags.duration, 10.0, "The old name of audit-webhook-initial-backoff."),
    *_batching("webhook", "batch", 400, 30.0, True),
)


def options(values: Values) -> dict[str, Any]:
    """Those of `apiserver.server.Options`. UsageError."""
    log, webhook = values["audit-log-path"], values["audit-webhook-config-file"]
    for name, enabled in (("log", log), ("webhook", webhook)):
        if enabled:
            _validate(name, values)
    if log:
        _validate_log(values)
    if not values["audit-policy-file"]:
        return {}
    return {"auditor": _auditor(values)}


def _auditor(values: Values) -> Auditor | None:
    from pybernetes.aio.clock import RealClock

    from ..auditing import policy
    from ..auditing.auditor import Auditor
    from ..auditing.metrics import AuditMetrics
    from ..configdocument import DocumentError

    try:
        audit_policy = policy.load(values["audit-policy-file"])
    except DocumentError as error:
        raise UsageError(str(error)) from error
    clock = RealClock()
    metrics = AuditMetrics(clock)
    sinks = []
    if values["audit-log-path"]:
        sinks.append(_log(values, metrics, clock))
    if values["audit-webhook-config-file"]:
        sinks.append(_webhook(values, metrics, clock))
    lines = bool(values["audit-log-path"]) and values["audit-log-format"] == "legacy"
    return Auditor(audit_policy, sinks, metrics, clock, lines=lines) if sinks else None


def _log(values: Values, metrics: AuditMetrics, clock: Clock) -> Sink:
    from ..auditing.rotation import MEGABYTE, RotatingFile, Rotation
    from ..auditing.sinks import LogSink

    path = values["audit-log-path"]
    rotation = Rotation(
        max_bytes=values["audit-log-maxsize"] * MEGABYTE,
        max_age_days=values["audit-log-maxage"],
        max_backups=values["audit-log-maxbackup"],
        compress=values["audit-log-compress"],
    )
    try:
        file = None if path == "-" else RotatingFile(path, rotation, clock.now)
    except OSError as error:
        raise UsageError(f"--audit-log-path={path}: ensureLogFile: {error.strerror}") from error
    threaded = values["audit-log-mode"] == "batch"
    sink = LogSink(file, values["audit-log-format"] == "legacy", metrics, threaded=threaded)
    return _wrapped("log", sink, values, metrics, clock)


def _webhook(values: Values, metrics: AuditMetrics, clock: Clock) -> Sink:
    from pybernetes.client import kubeconfig
    from pybernetes.client.configerror import ConfigError

    from ..auditing.webhook import WebhookSink

    path = values["audit-webhook-config-file"]
    old, name = "audit-webhook-batch-initial-backoff", "audit-webhook-initial-backoff"
    backoff = values[old] if old in values.given and name not in values.given else values[name]
    try:
        sink = WebhookSink(kubeconfig.load(path), backoff, metrics, clock)
    except (ConfigError, ValueError, OSError) as error:
        raise UsageError(f"--audit-webhook-config-file={path}: initializing audit webhook: {error}") from error
    return _wrapped("webhook", sink, values, metrics, clock)


def _wrapped(name: str, sink: Sink, values: Values, metrics: AuditMetrics, clock: Clock) -> Sink:
    """As the mode has it, and cut short."""
    from ..auditing.batch import Batch, BatchSettings
    from ..auditing.sinks import Blocking, Truncating

    prefix = f"audit-{name}"
    mode = values[f"{prefix}-mode"]
    if mode == "batch":
        throttled = values[f"{prefix}-batch-throttle-enable"]
        settings = BatchSettings(
            buffer_size=values[f"{prefix}-batch-buffer-size"],
            max_size=values[f"{prefix}-batch-max-size"],
            max_wait=values[f"{prefix}-batch-max-wait"],
            qps=values[f"{prefix}-batch-throttle-qps"] if throttled else 0.0,
            burst=values[f"{prefix}-batch-throttle-burst"],
            at_once=name == "webhook",
        )
        sink = Batch(sink, settings, metrics, clock)
    else:
        sink = Blocking(sink, strict=mode == "blocking-strict")
    if values[f"{prefix}-truncate-enabled"]:
        limits = (values[f"{prefix}-truncate-max-event-size"], values[f"{prefix}-truncate-max-batch-size"])
        sink = Truncating(sink, *limits, metrics)
    return sink


def _validate(name: str, values: Values) -> None:
    """UsageError, in upstream's words."""
    prefix = f"audit-{name}"
    mode = values[f"{prefix}-mode"]
    if mode not in MODES:
        raise UsageError(f'invalid audit {name} mode {mode}, allowed modes are "{",".join(MODES)}"')
    if mode == "batch":
        counted = [("buffer size", "buffer-size"), ("max batch size", "max-size")]
        if values[f"{prefix}-batch-throttle-enable"]:
            counted += [("throttle QPS", "throttle-qps"), ("throttle burst", "throttle-burst")]
        for words, flag in counted:
            given = values[f"{prefix}-batch-{flag}"]
            if given <= 0:
                raise UsageError(f"invalid audit batch {name} {words} {given:g}, must be a positive number")
    event, batch = values[f"{prefix}-truncate-max-event-size"], values[f"{prefix}-truncate-max-batch-size"]
    if event <= 0:
        raise UsageError(f"invalid audit truncate {name} max event size {event}, must be a positive number")
    if batch < event:
        words = f"max batch size {batch}, must be greater than max event size ({event})"
        raise UsageError(f"invalid audit truncate {name} {words}")
    if values[f"{prefix}-version"] != VERSION:
        raise UsageError('invalid group version, allowed versions are ["audit.k8s.io/v1"]')


def _validate_log(values: Values) -> None:
    if values["audit-log-format"] not in FORMATS:
        given = values["audit-log-format"]
        raise UsageError(f'invalid audit log format {given}, allowed formats are "{",".join(FORMATS)}"')
    for name in ("audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"):
        if values[name] < 0:
            raise UsageError(f"--{name} {values[name]} can't be a negative number")
