"""CronJob of batch/v1 (upstream: pkg/apis/batch/v1/defaults.go, batch validation, pkg/registry/batch/cronjob)."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..core import podwarnings
from ..core.poddefaults import default_template
from ..printing import AGE, NAME, age, container_cells, format_selector, object_age
from ..strategy import keep_spec, keep_status
from ..validation import enum, not_negative
from ..workload import TEMPLATE_COLUMNS
from .jobspec import job_spec
from .schedule import schedule_error

SPEC = Path("spec")
NAME_LIMIT = 52  # the controller appends eleven characters for the name of a job
POLICIES = ("Allow", "Forbid", "Replace")
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


def default(cron: Object) -> None:
    """SetDefaults_CronJob."""
    spec = cron.setdefault("spec", {})
    job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    default_template(job.setdefault("template", {}))
    spec["concurrencyPolicy"] = spec.get("concurrencyPolicy") or "Allow"
    for name, value in (("suspend", False), ("successfulJobsHistoryLimit", 3), ("failedJobsHistoryLimit", 1)):
        if spec.get(name) is None:
            spec[name] = value


def prepare_create(cron: Object) -> None:
    """Nothing ran yet."""
    cron["status"] = {}


def validate(cron: Object) -> Errors:
    """On creation."""
    name = (cron.get("metadata") or {}).get("name") or ""
    errors = _spec(cron.get("spec") or {}, None)
    if len(name) > NAME_LIMIT:
        why = f"must be no more than {NAME_LIMIT} characters"
        errors.append(field.invalid(Path("metadata.name"), name, why))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation, but for names that were longer."""
    return _spec(new.get("spec") or {}, old.get("spec") or {})


def _spec(spec: Object, before: Object | None) -> Errors:
    zone, schedule = spec.get("timeZone"), spec.get("schedule") or ""
    errors = _schedule(schedule, zone, before) if schedule else [field.required(SPEC / "schedule")]
    errors += not_negative(SPEC / "startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    if zone is not None and (before is None or before.get("timeZone") != zone):
        errors += _zone(SPEC / "timeZone", zone)
    errors += enum(SPEC / "concurrencyPolicy", spec.get("concurrencyPolicy"), POLICIES)
    at = SPEC / "jobTemplate" / "spec"
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    errors += job_spec(at, job)
    if (selector := job.get("selector")) is not None:
        errors.append(field.invalid(at / "selector", selector, "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        errors.append(field.not_supported(at / "manualSelector", True, ("nil", "false")))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors += not_negative(SPEC / name, spec.get(name))
    return errors


def _schedule(text: str, zone: str | None, before: Object | None) -> Errors:
    at = SPEC / "schedule"
    problem = schedule_error(text)
    errors = [field.invalid(at, text, problem)] if problem else []
    if "TZ" not in text:
        return errors
    if before is None or "TZ" not in (before.get("schedule") or ""):
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(field.invalid(at, text, why))
    elif zone is not None:
        why = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(field.invalid(at, text, why))
    return errors


def _zone(path: Path, zone: str) -> Errors:
    if not zone:
        return [field.invalid(path, zone, "timeZone must be nil or non-empty string")]
    unknown = field.invalid(path, zone, f"unknown time zone {zone}")
    parts = zone.split("/")
    if any(p in (".", "..") or p.startswith("-") or not _ZONE_PART.fullmatch(p) for p in parts):
        return [unknown]
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [field.invalid(path, zone, why)]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return [unknown]
    return []


def row(cron: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    spec, status = cron.get("spec") or {}, cron.get("status") or {}
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    names, images = container_cells((job.get("template") or {}).get("spec") or {})
    suspended = spec.get("suspend")
    last = status.get("lastScheduleTime")
    return [
        cron["metadata"]["name"],
        spec.get("schedule") or "",
        spec.get("timeZone") or "<none>",
        "<unset>" if suspended is None else "True" if suspended else "False",
        len(status.get("active") or ()),
        age(last, now) if last else "<none>",
        object_age(cron, now),
        names,
        images,
        format_selector(job.get("selector")),
    ]


RESOURCE = Resource(
    group="batch",
    version="v1",
    name="cronjobs",
    kind="CronJob",
    schema="io.k8s.api.batch.v1.CronJob",
    short_names=("cj",),
    categories=("all",),
    status=True,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=podwarnings.of_template("spec.jobTemplate.spec.template", named=False),
    columns=(
        NAME,
        Column("Schedule"),
        Column("Timezone"),
        Column("Suspend", type="boolean"),
        Column("Active", type="integer"),
        Column("Last Schedule"),
        AGE,
        *TEMPLATE_COLUMNS,
    ),
    row=row,
)
