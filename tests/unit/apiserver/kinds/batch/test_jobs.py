from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api.wellknown import CONTROLLER_UID_LABEL, JOB_NAME_LABEL
from pybernetes.apiserver.kinds import legacy
from pybernetes.apiserver.kinds.batch import cronjob, job
from pybernetes.apiserver.kinds.batch.jobspec import count_indexes
from pybernetes.apiserver.kinds.batch.schedule import schedule_error

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}


def made(**spec: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {
        "metadata": {"name": "a", "namespace": "n", "uid": "u"},
        "spec": {"template": {"spec": deepcopy(POD)}, **spec},
    }
    job.default(obj)
    job.prepare_create(obj)
    return obj


def texts(**spec: Any) -> list[str]:
    return [str(e) for e in job.validate(made(**spec))]


def test_selector_and_labels_are_made_from_the_uid() -> None:
    obj = made()
    labels = {"job-name": "a", "controller-uid": "u", JOB_NAME_LABEL: "a", CONTROLLER_UID_LABEL: "u"}
    assert obj["spec"]["selector"] == {"matchLabels": {CONTROLLER_UID_LABEL: "u"}}
    assert obj["spec"]["template"]["metadata"]["labels"] == labels
    assert obj["metadata"]["labels"] == labels
    assert job.validate(obj) == []


def test_defaults() -> None:
    spec = made()["spec"]
    shown = {
        k: spec[k]
        for k in ("completions", "parallelism", "backoffLimit", "completionMode", "suspend", "podReplacementPolicy")
    }
    assert shown == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"completions": -1}, "spec.completions: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"completionMode": "Indexed", "parallelism": 1},
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        ({"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"),
        (
            {"managedBy": "me"},
            'spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")',
        ),
        (
            {"podFailurePolicy": {"rules": [{"action": "FailJob"}]}},
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            {"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]}},
            "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
        ),
        (
            {"completionMode": "Indexed", "completions": 3, "successPolicy": {"rules": [{"succeededIndexes": "0-5"}]}},
            'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"',
        ),
        (
            {"template": {"spec": {"containers": POD["containers"]}}},
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        ({"manualSelector": True}, "spec.selector: Required value"),
    ],
)
def test_refused(spec: dict[str, Any], expected: str) -> None:
    assert expected in texts(**spec)


def test_what_may_change() -> None:
    old = made(suspend=True)
    new = deepcopy(old)
    new["spec"].update({"parallelism": 3, "suspend": False})
    new["spec"]["template"]["spec"]["nodeSelector"] = {"k": "v"}
    assert job.validate_update(new, old) == []
    old["status"] = {"startTime": "2026-01-01T00:00:00Z"}
    assert [e.field for e in job.validate_update(new, old)] == ["spec.template"]
    new = deepcopy(old)
    new["spec"]["completions"] = 7
    assert [e.field for e in job.validate_update(new, old)] == ["spec.completions"]


def true(*names: str) -> list[dict[str, str]]:
    return [{"type": name, "status": "True"} for name in names]


START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {
                "startTime": START,
                "completionTime": END,
                "succeeded": 1,
                "conditions": true("SuccessCriteriaMet", "Complete"),
            },
            [],
        ),
        ({"startTime": START, "failed": 1, "conditions": true("FailureTarget", "Failed")}, []),
        (
            {"startTime": START, "conditions": true("Failed")},
            [
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition"
            ],
        ),
        ({"ready": 2, "active": 1}, ["status.ready: Invalid value: 2: cannot set more ready pods than active"]),
        (
            {"startTime": START, "completionTime": END},
            [
                f'status.completionTime: Invalid value: "{END}": cannot set completionTime when there is no Complete=True condition'
            ],
        ),
    ],
)
def test_status(status: dict[str, Any], expected: list[str]) -> None:
    old = made()
    assert [str(e) for e in job.validate_status({**old, "status": status}, old)] == expected


def test_with_the_api_of_2020_a_job_ends_as_its_controller_of_then_writes_it() -> None:
    (record,) = (one for one in legacy.resources() if (one.api_version, one.kind) == ("batch/v1", "Job"))
    old = made()
    new = {**old, "status": {"startTime": START, "completionTime": END, "conditions": true("Complete")}}
    assert record.validate_status(new, old) == []
    assert job.validate_status(new, old) != []
    assert [e.field for e in record.validate_status({**old, "status": {"failed": -1}}, old)] == ["status.failed"]


def test_a_finished_job_stays_finished() -> None:
    old = {**made(), "status": {"startTime": START, "failed": 1, "conditions": true("FailureTarget", "Failed")}}
    new = {**old, "status": {"startTime": START, "failed": 1}}
    assert "cannot disable the terminal Failed=True condition" in str(job.validate_status(new, old)[0])


@pytest.mark.parametrize(
    ("status", "cells"),
    [
        ({}, ["Running", "0/1", ""]),
        ({"startTime": START}, ["Running", "0/1", "60m"]),
        (
            {"startTime": START, "completionTime": END, "succeeded": 1, "conditions": true("Complete")},
            ["Complete", "1/1", "5m"],
        ),
        ({"conditions": true("Suspended")}, ["Suspended", "0/1", ""]),
    ],
)
def test_row(status: dict[str, Any], cells: list[str]) -> None:
    assert job.row({**made(), "status": status}, NOW)[1:4] == cells


def test_indexes() -> None:
    assert count_indexes("1,3-5,7", 10) == 5
    with pytest.raises(ValueError, match="non-increasing order, previous: 3, current: 2"):
        count_indexes("3,2", 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/5 * * * *", ""),
        ("0 0 1 jan,Feb mon-fri", ""),
        ("@daily", ""),
        ("@every 1h30m", ""),
        ("@often", "unrecognized descriptor: @often"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ],
)
def test_schedules(text: str, expected: str) -> None:
    assert schedule_error(text) == expected


def cron(name: str = "a", **spec: Any) -> list[str]:
    template = {"spec": {"template": {"spec": deepcopy(POD)}}}
    obj: dict[str, Any] = {"metadata": {"name": name}, "spec": {"schedule": "@daily", "jobTemplate": template, **spec}}
    cronjob.default(obj)
    return [str(e) for e in cronjob.validate(obj)]


def test_cron_jobs() -> None:
    assert cron() == []
    assert cron(timeZone="Europe/Berlin") == []
    assert cron(timeZone="Nowhere/Else") == [
        'spec.timeZone: Invalid value: "Nowhere/Else": unknown time zone Nowhere/Else'
    ]
    assert cron(name="a" * 53)[0].endswith("must be no more than 52 characters")
    assert "cannot use TZ or CRON_TZ in schedule, use timeZone field instead" in cron(schedule="TZ=UTC 0 * * * *")[0]
    assert cron(concurrencyPolicy="X") == [
        'spec.concurrencyPolicy: Unsupported value: "X": supported values: "Allow", "Forbid", "Replace"'
    ]
