"""Probes and hooks of containers (upstream: core validation, validateProbe and validateLifecycle)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ..validation import Errors, each, http_header_errors, not_negative_fields, port_number, port_number_or_name

Object = Mapping[str, Any]

_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_SCHEMES = ("HTTP", "HTTPS")


def probes(path: Path, container: Object, grace: int | None) -> Errors:
    """Liveness, readiness and startup."""
    errors: Errors = []
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is None:
            continue
        at = path / name
        errors += _probe(at, probe, grace)
        if name == "readinessProbe":
            if (seconds := probe.get("terminationGracePeriodSeconds")) is not None:
                why = "must not be set for readinessProbes"
                errors.append(field.invalid(at / "terminationGracePeriodSeconds", seconds, why))
        elif probe.get("successThreshold") != 1:
            errors.append(field.invalid(at / "successThreshold", probe.get("successThreshold") or 0, "must be 1"))
    return errors


def _probe(path: Path, probe: Object, grace: int | None) -> Errors:
    errors = handler(path, probe, grace)
    errors += not_negative_fields(path, probe, _NUMBERS)
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        errors.append(field.invalid(path / "terminationGracePeriodSeconds", seconds, "must be greater than 0"))
    return errors


_REAL_TIME = [f"SIGRTMIN+{n}" for n in range(1, 16)] + [f"SIGRTMAX-{n}" for n in range(1, 15)]
_SIGNALS = (
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX"
)
STOP_SIGNALS = {
    "linux": tuple(sorted([f"SIG{name}" for name in _SIGNALS.split()] + _REAL_TIME)),
    "windows": ("SIGKILL", "SIGTERM"),
}


def lifecycle(path: Path, hooks: Object, grace: int | None, system: str | None) -> Errors:
    """postStart, preStop and the signal that stops; `system` is what spec.os names, None without spec.os."""
    errors: Errors = []
    for name in ("postStart", "preStop"):
        if (hook := hooks.get(name)) is not None:
            errors += handler(path / name, hook, grace)
    if (signal := hooks.get("stopSignal")) is not None:
        at = path / "stopSignal"
        if system is None:
            errors.append(field.forbidden(at, "may not be set for containers with empty `spec.os.name`"))
        elif signal not in STOP_SIGNALS.get(system, (signal,)):
            errors.append(field.not_supported(at, signal, STOP_SIGNALS[system]))
    return errors


def handler(path: Path, given: Object, grace: int | None) -> Errors:
    """Exactly one kind of action."""
    errors: Errors = []
    count = 0
    for name in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        if (action := given.get(name)) is None:
            continue
        if count:
            errors.append(field.forbidden(path / name, "may not specify more than 1 handler type"))
            continue
        count = 1
        errors += _action(path / name, name, action, grace)
    if not count:
        errors.append(field.required(path, "must specify a handler type"))
    return errors


def _action(path: Path, name: str, action: Object, grace: int | None) -> Errors:
    if name == "exec":
        return [] if action.get("command") else [field.required(path / "command")]
    if name == "httpGet":
        return _http_get(path, action)
    if name == "tcpSocket":
        return port_number_or_name(path / "port", action.get("port") or 0)
    if name == "grpc":
        return port_number(path / "port", action.get("port") or 0)
    seconds = action.get("seconds") or 0
    if grace is None or 0 <= seconds <= grace:
        return []
    why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
    return [field.invalid(path, seconds, why)]


def _http_get(path: Path, action: Object) -> Errors:
    errors = [] if action.get("path") else [field.required(path / "path")]
    errors += port_number_or_name(path / "port", action.get("port") or 0)
    if (scheme := action.get("scheme") or "") not in _SCHEMES:
        errors.append(field.not_supported(path / "scheme", scheme, _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        errors += each(path / "httpHeaders", name, http_header_errors(name))
    return errors
