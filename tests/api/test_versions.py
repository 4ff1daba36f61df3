"""One kind in several versions: what one version writes, another sees, owns, selects and patches.

The kind of fault: whatever compared, selected or read objects did so in the version that it happened to have, and refused or overlooked
the others. Beyond what was reported are tried: events in both groups, a version that a definition has dropped, an applier that changes
its version, a webhook that fails within a patch, field selectors of a watch, the status subresource, and a strategic patch.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver.generic.cache import Watcher

from .customresources import DEFINITIONS, THINGS, Object, definition, thing, version
from .test_customresources import both_ways, defined, run, until
from .webhooks import Answered, Bench

APPLY, MERGE, JSON, STRATEGIC = (
    f"application/{kind}"
    for kind in ("apply-patch+yaml", "merge-patch+json", "json-patch+json", "strategic-merge-patch+json")
)
SCALERS = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"
V1, V2 = SCALERS.format("v1"), SCALERS.format("v2")
NEWER = THINGS.replace("/v1/", "/v2/")


def scaler(version: str, **spec: Any) -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    kind = "HorizontalPodAutoscaler"
    body = {"apiVersion": f"autoscaling/{version}", "kind": kind, "metadata": {"name": "a"}}
    return {**body, "spec": {"maxReplicas": 3, "scaleTargetRef": target, **spec}}


async def apply(b: Bench, path: str, body: Object, manager: str, force: str = "") -> Answered:
    return await b.ask("PATCH", f"{path}/{body['metadata']['name']}?fieldManager={manager}{force}", body, APPLY)


def owners(obj: Object, api_version: str = "") -> dict[str, Any]:
    entries = obj["metadata"]["managedFields"]
    return {e["manager"]: e["fieldsV1"] for e in entries if api_version in ("", e["apiVersion"])}


# --- who manages what ---------------------------------------------------------------------------


def test_an_apply_in_one_version_sees_what_another_version_manages(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        body = scaler("v1", targetCPUUtilizationPercentage=50)
        made = await b.ask("POST", f"{V1}?fieldManager=old", body)
        assert made.code == 201
        # v1's percentage is part of v2's metrics, which are one value there; maxReplicas is the same in both.
        refused = await apply(b, V2, scaler("v2", maxReplicas=4), "new")
        assert (refused.code, refused.message) == (
            409,
            'Apply failed with 1 conflict: conflict with "old" using autoscaling/v1: .spec.maxReplicas',
        )
        cpu = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
        }
        refused = await apply(b, V2, scaler("v2", metrics=[cpu]), "new")
        assert refused.message.endswith('"old" using autoscaling/v1: .spec.targetCPUUtilizationPercentage')
        same = await apply(b, V2, scaler("v2"), "new")
        assert same.code == 200
        forced = await apply(b, V2, scaler("v2", maxReplicas=4, metrics=[cpu]), "new", "&force=true")
        assert forced.code == 200
        spec = owners(forced.body)["old"]["f:spec"]
        assert (
            "f:maxReplicas" not in spec
            and "f:targetCPUUtilizationPercentage" not in spec
            and "f:scaleTargetRef" in spec
        )
        assert (await b.ask("GET", f"{V1}/a")).body["spec"]["targetCPUUtilizationPercentage"] == 60

    run(tmp_path, story)


def test_an_update_in_one_version_takes_what_it_changes_from_another(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await apply(b, V2, scaler("v2"), "one")
        changed = await b.ask("PATCH", f"{V1}/a?fieldManager=two", {"spec": {"maxReplicas": 9}}, MERGE)
        assert changed.code == 200
        assert "f:maxReplicas" not in owners(changed.body)["one"]["f:spec"]
        assert owners(changed.body, "autoscaling/v1")["two"] == {"f:spec": {"f:maxReplicas": {}}}
        refused = await apply(b, V2, scaler("v2"), "one")
        assert refused.message == (
            'Apply failed with 1 conflict: conflict with "two" using autoscaling/v1: .spec.maxReplicas'
        )

    run(tmp_path, story)


def test_an_applier_that_changes_its_version_lets_go_of_what_it_says_no_more(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await apply(b, V1, scaler("v1", minReplicas=2, targetCPUUtilizationPercentage=50), "one")
        now = await apply(b, V2, scaler("v2"), "one")
        assert now.code == 200
        assert now.body["spec"]["minReplicas"] == 1, "the default again: nobody manages it"
        [entry] = [e for e in now.body["metadata"]["managedFields"] if e["manager"] == "one"]
        assert entry["apiVersion"] == "autoscaling/v2" and "f:minReplicas" not in entry["fieldsV1"]["f:spec"]

    run(tmp_path, story)


@pytest.mark.parametrize("strategy", ["None", "Webhook"])
def test_versions_of_custom_resources_conflict(tmp_path: Path, strategy: str) -> None:
    async def story(b: Bench) -> None:
        y = "x" if strategy == "None" else "y"
        await defined(b, two_versions(b, strategy))
        made = await apply(b, THINGS, thing("a", spec={"x": "1"}), "one")
        assert made.code == 201
        for manager, value, code in (("two", "1", 200), ("two", "2", 409)):
            answer = await apply(b, NEWER, thing("a", "v2", spec={y: value}), manager)
            assert answer.code == code, answer.body
        assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .spec.x'
        forced = await apply(b, NEWER, thing("a", "v2", spec={y: "2"}), "two", "&force=true")
        assert forced.body["spec"] == {y: "2"} and list(owners(forced.body)) == ["two"]
        updated = await b.ask("PATCH", f"{THINGS}/a?fieldManager=three", {"spec": {"x": "3"}}, MERGE)
        assert list(owners(updated.body)) == ["three"]

    run(tmp_path, story)


def test_what_a_version_managed_that_is_no_more_is_nobody_s(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        crd = definition(version("v1"), version("v2", storage=False))
        await defined(b, crd)
        await apply(b, NEWER, thing("a", "v2", spec={"x": "1"}), "two")
        name = f"{DEFINITIONS}/things.example.com"
        await b.ask("PATCH", name, {"spec": {"versions": [version("v1")]}}, MERGE)
        await until(b, NEWER, lambda answer: answer.code == 404)
        now = await apply(b, THINGS, thing("a", spec={"x": "2"}), "one")
        assert (now.code, list(owners(now.body))) == (200, ["one"])

    run(tmp_path, story)


def test_without_its_webhook_a_write_goes_on_and_nobody_manages_anything(tmp_path: Path) -> None:
    """Upstream's UpdateNoErrors: rather none than wrong ones. An apply, which is about them, fails."""

    async def story(b: Bench) -> None:
        await defined(b, two_versions(b, "Webhook"))
        await apply(b, NEWER, thing("a", "v2", spec={"y": "1"}), "two")
        b.hooks.decide["/convert"] = lambda request: {"result": {"status": "Failed", "message": "not today"}}
        refused = await apply(b, THINGS, thing("a", spec={"x": "2"}), "one")
        assert refused.code == 500 and refused.message.endswith("Kind=Thing failed: not today")
        changed = await b.ask("PATCH", f"{THINGS}/a", {"spec": {"x": "2"}}, MERGE)
        assert (changed.code, changed.body["spec"]) == (200, {"x": "2"})
        assert "managedFields" not in changed.body["metadata"]

    run(tmp_path, story)


def two_versions(b: Bench, strategy: str) -> Object:
    """v1 is stored and says spec.x; v2 says spec.y where a webhook converts."""
    webhook = {"clientConfig": b.hooks.config("/convert"), "conversionReviewVersions": ["v1"]}
    conversion = {"strategy": "Webhook", "webhook": webhook} if strategy == "Webhook" else {"strategy": "None"}
    b.hooks.decide["/convert"] = both_ways
    own = "y" if strategy == "Webhook" else "x"
    later = version(
        "v2", storage=False, properties={own: {"type": "string"}}, selectableFields=[{"jsonPath": f".spec.{own}"}]
    )
    return definition(version("v1", subresources={"status": {}}), later, conversion=conversion)


# --- patches ------------------------------------------------------------------------------------


def test_a_patch_may_name_another_version_of_the_kind(tmp_path: Path) -> None:
    """What it makes is read as that version, with its defaults, and converted (upstream: jsonPatcher)."""

    async def story(b: Bench) -> None:
        await b.ask("POST", V2, scaler("v2"))
        body = {"apiVersion": "autoscaling/v1", "spec": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 7}}
        answer = await b.ask("PATCH", f"{V2}/a", body, MERGE)
        assert (answer.code, answer.body["apiVersion"]) == (200, "autoscaling/v2")
        assert [text for text in answer.warnings if "spec.metrics" in text]
        assert answer.body["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 7
        operations = [
            {"op": "replace", "path": "/apiVersion", "value": "autoscaling/v2"},
            {"op": "replace", "path": "/spec/maxReplicas", "value": 6},
            {"op": "remove", "path": "/spec/targetCPUUtilizationPercentage"},
        ]
        answer = await b.ask("PATCH", f"{V1}/a", operations, JSON)
        assert (answer.code, answer.body["apiVersion"], answer.body["spec"]["maxReplicas"]) == (
            200,
            "autoscaling/v1",
            6,
        )
        assert answer.body["spec"]["targetCPUUtilizationPercentage"] == 80, "v2's default"
        strategic = await b.ask(
            "PATCH", f"{V1}/a", {"apiVersion": "autoscaling/v2", "spec": {"maxReplicas": 7}}, STRATEGIC
        )
        assert (strategic.code, strategic.body["spec"]["maxReplicas"]) == (200, 7)
        strict = await b.ask("PATCH", f"{V2}/a?fieldValidation=Strict", {"apiVersion": "autoscaling/v1"}, MERGE)
        assert strict.code == 422 and 'strict decoding error: unknown field "spec.metrics"' in strict.message
        for given in ("autoscaling/v2beta2", "apps/v1", "v1"):
            assert (await b.ask("PATCH", f"{V2}/a", {"apiVersion": given}, MERGE)).code == 422

    run(tmp_path, story)


def test_a_patch_of_an_event_may_name_the_other_group(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        core, new = (f"{api}/namespaces/default/events" for api in ("/api/v1", "/apis/events.k8s.io/v1"))
        about = {"kind": "Pod", "namespace": "default", "name": "p"}
        event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "R", "message": "m", "type": "Normal"}
        assert (await b.ask("POST", core, {"apiVersion": "v1", "kind": "Event", **event})).code == 201
        answer = await b.ask(
            "PATCH", f"{core}/e", {"apiVersion": "events.k8s.io/v1", "note": "n", "regarding": about}, MERGE
        )
        assert (answer.code, answer.body["apiVersion"], answer.body["message"]) == (200, "v1", "n")
        for name, found in (("p", 1), ("q", 0)):
            selected = await b.ask("GET", f"{new}?fieldSelector=regarding.name={name}")
            assert len(selected.body["items"]) == found

    run(tmp_path, story)


@pytest.mark.parametrize("strategy", ["None", "Webhook"])
@pytest.mark.parametrize("path", ["", "/status"])
def test_a_patch_of_a_custom_resource_may_name_another_version(tmp_path: Path, strategy: str, path: str) -> None:
    async def story(b: Bench) -> None:
        await defined(b, two_versions(b, strategy))
        await b.ask("POST", THINGS, thing("a", spec={"x": "1"}))
        body = {"apiVersion": "example.com/v2", "spec": {"x": None, "y": "2"} if strategy == "Webhook" else {"x": "2"}}
        answer = await b.ask("PATCH", f"{THINGS}/a{path}", body, MERGE)
        assert (answer.code, answer.body["apiVersion"]) == (200, "example.com/v1"), answer.body
        assert answer.body["spec"] == {"x": "1" if path else "2"}

    run(tmp_path, story)


def test_a_webhook_that_fails_refuses_the_patch(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await defined(b, two_versions(b, "Webhook"))
        await b.ask("POST", THINGS, thing("a", spec={"x": "1"}))
        b.hooks.decide["/convert"] = lambda request: {"result": {"status": "Failed", "message": "not today"}}
        answer = await b.ask("PATCH", f"{THINGS}/a", {"apiVersion": "example.com/v2"}, MERGE)
        assert answer.code == 422
        assert answer.message.startswith('patch: Invalid value: "{') or " is invalid: patch: " in answer.message
        assert answer.message.endswith(": conversion webhook for example.com/v2, Kind=Thing failed: not today")

    run(tmp_path, story)


# --- selectors ----------------------------------------------------------------------------------


def test_a_watch_of_another_version_is_woken_by_its_field_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the one of the stored version; once it was woken by every object, and converted each a second time."""
    pushed: list[tuple[Any, str]] = []
    push = Watcher.push

    def noted(self: Watcher, change: Any) -> None:
        pushed.append((self.trigger, (change.current or change.previous).key.rpartition("/")[2]))
        push(self, change)

    monkeypatch.setattr(Watcher, "push", noted)

    async def story(b: Bench) -> None:
        new = "/apis/events.k8s.io/v1/namespaces/default/events"
        start = (await b.ask("GET", new)).body["metadata"]["resourceVersion"]
        url = f"{new}?watch=1&timeoutSeconds=1&resourceVersion={start}&fieldSelector=regarding.name=p"
        async with b.client.stream("GET", url) as stream:
            for name in ("p", "q"):
                about = {"kind": "Pod", "namespace": "default", "name": name}
                event = {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": f"e-{name}"},
                    "involvedObject": about,
                }
                await b.ask("POST", "/api/v1/namespaces/default/events", event)
            told = [json.loads(line) for line in (await stream.read()).splitlines()]
        assert [(e["type"], e["object"]["regarding"]["name"]) for e in told] == [("ADDED", "p")]

    run(tmp_path, story)
    trigger = ("events.k8s.io/v1", "regarding.name"), "p"
    assert [name for given, name in pushed if given == trigger and name.startswith("e-")] == ["e-p"]


@pytest.mark.parametrize("strategy", ["None", "Webhook"])
def test_a_watch_of_custom_resources_selects_by_the_fields_of_its_version(tmp_path: Path, strategy: str) -> None:
    async def story(b: Bench) -> None:
        field = "y" if strategy == "Webhook" else "x"
        await defined(b, two_versions(b, strategy))
        start = (await b.ask("GET", NEWER)).body["metadata"]["resourceVersion"]
        url = f"{NEWER}?watch=1&timeoutSeconds=1&resourceVersion={start}&fieldSelector=spec.{field}=2"
        async with b.client.stream("GET", url) as stream:
            for value in ("1", "2", "3"):
                body = thing("a", spec={"x": value})
                if value == "1":
                    await b.ask("POST", THINGS, body)
                else:
                    await b.ask("PATCH", f"{THINGS}/a", body, MERGE)
            told = [json.loads(line) for line in (await stream.read()).splitlines()]
        assert [(e["type"], e["object"]["spec"]) for e in told] == [("ADDED", {field: "2"}), ("DELETED", {field: "2"})]

    run(tmp_path, story)


# --- keys of lists ------------------------------------------------------------------------------


def test_a_key_that_an_apply_leaves_out_has_the_schema_s_default(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        protocol = {"type": "string", "default": "UDP"}
        item = {
            "type": "object",
            "required": ["port"],
            "properties": {"port": {"type": "integer"}, "protocol": protocol},
        }
        keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]}
        await defined(b, definition(version(properties={"ports": {"type": "array", "items": item, **keys}})))
        for _ in range(2):
            made = await apply(b, THINGS, thing("a", spec={"ports": [{"port": 1}]}), "one")
            assert made.code in (200, 201), made.body
            assert made.body["spec"]["ports"] == [{"port": 1, "protocol": "UDP"}]
        assert list(owners(made.body)["one"]["f:spec"]["f:ports"]) == ['k:{"port":1,"protocol":"UDP"}']
        both = [{"port": 1}, {"port": 1, "protocol": "TCP"}]
        made = await apply(b, THINGS, thing("a", spec={"ports": both}), "one")
        assert [p["protocol"] for p in made.body["spec"]["ports"]] == ["UDP", "TCP"]

    run(tmp_path, story)


# --- definitions --------------------------------------------------------------------------------


def test_a_definition_takes_no_name_of_a_built_in_resource(tmp_path: Path) -> None:
    """Nor its objects, when it goes: it shares their place in the store."""

    async def story(b: Bench) -> None:
        crd = definition(version("v1"), version("v9", storage=False), plural="leases", kind="Lease")
        approval = {"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements/pull/1111"}
        crd["metadata"] = {"name": "leases.coordination.k8s.io", "annotations": approval}
        crd["spec"]["group"] = "coordination.k8s.io"
        await defined(b, crd)
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
        leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        made = await b.ask("POST", leases, {**body, "spec": {"leaseDurationSeconds": 3}})
        assert made.code == 201 and made.body["spec"] == {"leaseDurationSeconds": 3}
        assert (await b.ask("GET", leases.replace("v1", "v9"))).code == 404
        await b.ask("DELETE", f"{DEFINITIONS}/leases.coordination.k8s.io")
        await until(b, f"{DEFINITIONS}/leases.coordination.k8s.io", lambda answer: answer.code == 404)
        assert (await b.ask("GET", f"{leases}/l")).code == 200

    run(tmp_path, story)


def test_the_last_of_a_group_version_takes_its_registration_along(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        service = "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com"
        for plural, kind in (("things", "Thing"), ("others", "Other")):
            await defined(b, definition(plural=plural, kind=kind))
        await until(b, service, lambda answer: answer.code == 200)
        await b.ask("DELETE", f"{DEFINITIONS}/things.example.com")
        await until(b, f"{DEFINITIONS}/things.example.com", lambda answer: answer.code == 404)
        await asyncio.sleep(0.05)
        assert (await b.ask("GET", service)).code == 200
        await b.ask("DELETE", f"{DEFINITIONS}/others.example.com")
        await until(b, service, lambda answer: answer.code == 404)

    run(tmp_path, story)
