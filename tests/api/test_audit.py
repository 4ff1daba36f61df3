"""What the audit events of requests hold when they are done: who asked, about what, with which answer and annotations."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver import chain
from pybernetes.apiserver.audit import AuditEvent, Stage

from .customresources import definition, version
from .policies import binding, put, validating
from .test_customresources import defined
from .webhooks import Bench, Object, bench

MAPS, PODS = (f"/api/v1/namespaces/default/{resource}" for resource in ("configmaps", "pods"))
ALLOWED = {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}
PRIVILEGED = {"pod-security.kubernetes.io/enforce-policy": "privileged:latest"}


def config_map(name: str, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def pod(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, story: Callable[[Bench, list[AuditEvent]], Awaitable[None]]
) -> None:
    events: list[AuditEvent] = []

    def kept(*arguments: Any) -> AuditEvent:
        events.append(AuditEvent(*arguments))
        return events[-1]

    monkeypatch.setattr(chain, "AuditEvent", kept)

    async def main() -> None:
        async with bench(folder) as b:
            await story(b, events)

    asyncio.run(main())


def test_a_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(b: Bench, events: list[AuditEvent]) -> None:
        made = await b.ask("POST", MAPS, config_map("", generateName="a-"))
        [event] = events
        assert (event.stage, event.response, event.annotations) == (Stage.RESPONSE_COMPLETE, {"code": 201}, ALLOWED)
        assert event.user is not None and event.user.name == "golden" and event.impersonated is None
        assert (event.verb, event.request_uri, event.user_agent, event.source_ips) == (
            "create",
            MAPS,
            "test",
            ["127.0.0.1"],
        )
        reference = event.object_ref
        assert reference is not None
        assert (reference.resource, reference.namespace, reference.name, reference.uid) == (
            "configmaps",
            "default",
            "",
            "",
        )
        await b.ask("PUT", f"{MAPS}/{made.body['metadata']['name']}", {**made.body, "data": {"a": "b"}})
        reference = events[-1].object_ref
        assert reference is not None
        assert (reference.name, reference.uid, reference.resource_version) == tuple(
            made.body["metadata"][name] for name in ("name", "uid", "resourceVersion")
        )

    run(tmp_path, monkeypatch, story)


def test_webhooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutating ones are numbered among all of them, each call is told of; validating ones among those that were asked."""

    async def story(b: Bench, events: list[AuditEvent]) -> None:
        operation = {"op": "add", "path": "/data", "value": {"a": "<b>"}}
        patch = json.dumps([operation]).encode()
        b.hooks.decide["/change"] = lambda request: {
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(patch).decode(),
            "auditAnnotations": {"why": "because", "no key": "x", "a/b": "x", "number": 1},
        }
        b.hooks.hang.add("/slow")
        slow = {"failurePolicy": "Ignore", "timeoutSeconds": 1}
        others = b.hooks.hook("/other", ("secrets",))
        await b.configure("Mutating", "m", others, b.hooks.hook("/change"), b.hooks.hook("/slow", **slow))
        await b.configure("Validating", "v", others, b.hooks.hook("/slow", **slow), b.hooks.hook("/check"))
        b.hooks.decide["/check"] = lambda request: {"allowed": False, "auditAnnotations": {"seen": "yes"}}
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 400
        event = events[-1]

        def mutated(hook: str, changed: bool) -> str:
            return f'{{"configuration":"m","webhook":"{hook}.example.com","mutated":{str(changed).lower()}}}'

        assert event.annotations == {
            **ALLOWED,
            "change.example.com/why": "because",
            "mutation.webhook.admission.k8s.io/round_0_index_1": mutated("change", True),
            "mutation.webhook.admission.k8s.io/round_0_index_2": mutated("slow", False),
            "failed-open.mutation.webhook.admission.k8s.io/round_0_index_2": "slow.example.com",
            "failed-open.validating.webhook.admission.k8s.io/round_0_index_0": "slow.example.com",
            "check.example.com/seen": "yes",
        }
        called = '"configuration":"m","webhook":"change.example.com"'
        change = '[{"op":"add","path":"/data","value":{"a":"\\u003cb\\u003e"}}]'
        assert event.detailed == {
            "patch.webhook.admission.k8s.io/round_0_index_1": f'{{{called},"patch":{change},"patchType":"JSONPatch"}}'
        }
        assert event.response is not None and event.response["code"] == 400

    run(tmp_path, monkeypatch, story)


def test_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What rules that are audited found, and what a policy's own annotations say: once each, of all bindings."""

    async def story(b: Bench, events: list[AuditEvent]) -> None:
        policy = validating(
            "p",
            "true",
            {"expression": "object.metadata.name == 'b'", "message": "<no>"},
            auditAnnotations=[
                {"key": "value", "valueExpression": "'named ' + string(object.metadata.name)"},
                {"key": "none", "valueExpression": "null"},
            ],
        )
        first = binding(policy, "b1", validationActions=["Audit"])
        await put(b, policy, first, binding(policy, "b2", validationActions=["Audit", "Deny"]))
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 422
        failures = [
            {"message": "<no>", "policy": "p", "binding": name, "expressionIndex": 1, "validationActions": actions}
            for name, actions in (("b1", ["Audit"]), ("b2", ["Audit", "Deny"]))
        ]
        found = dict(events[-1].annotations)
        told = found.pop("validation.policy.admission.k8s.io/validation_failure")
        assert json.loads(told) == failures and "\\u003cno\\u003e" in told
        assert found == {**ALLOWED, "p/value": "named a"}

    run(tmp_path, monkeypatch, story)


def test_pod_security(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(b: Bench, events: list[AuditEvent]) -> None:
        await b.ask("POST", PODS, pod("a"))
        assert events[-1].annotations == {**ALLOWED, **PRIVILEGED}
        labels = {"enforce": "baseline", "enforce-version": "v1.29", "audit": "restricted"}
        named = {f"pod-security.kubernetes.io/{name}": value for name, value in labels.items()}
        merge = "application/merge-patch+json"
        await b.ask("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": named}}, merge)
        assert (await b.ask("POST", PODS, pod("b", hostNetwork=True))).code == 403
        annotations = events[-1].annotations
        assert annotations["pod-security.kubernetes.io/enforce-policy"] == "baseline:v1.29"
        violations = annotations["pod-security.kubernetes.io/audit-violations"]
        assert violations.startswith(
            'would violate PodSecurity "restricted:latest": host namespaces (hostNetwork=true), '
        )
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("c")["spec"]}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        made = await b.ask(
            "POST", "/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "d"}, "spec": spec}
        )
        assert made.code == 201
        assert [key for key in events[-1].annotations if "pod-security" in key] == [
            "pod-security.kubernetes.io/audit-violations"
        ]
        assert (await b.ask("PATCH", f"{PODS}/a", {"metadata": {"labels": {"x": "y"}}}, merge)).code == 200
        assert events[-1].annotations == ALLOWED, "nothing that matters has changed"

    run(tmp_path, monkeypatch, story)


def test_deprecated_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(b: Bench, events: list[AuditEvent]) -> None:
        await defined(b, definition(version("v1"), version("v2", storage=False, deprecated=True)))
        for number, more in ((1, {}), (2, {"k8s.io/deprecated": "true"})):
            assert (await b.ask("GET", f"/apis/example.com/v{number}/namespaces/default/things")).code == 200
            assert events[-1].annotations == {**ALLOWED, **more}

    run(tmp_path, monkeypatch, story)


def test_a_watch_starts_and_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(b: Bench, events: list[AuditEvent]) -> None:
        async with b.client.stream("GET", f"{MAPS}?watch=1&timeoutSeconds=1") as stream:
            assert (events[-1].stage, events[-1].response) == (Stage.RESPONSE_STARTED, {"code": 200})
            await stream.read()
        assert (events[-1].verb, events[-1].stage) == ("watch", Stage.RESPONSE_COMPLETE)

    run(tmp_path, monkeypatch, story)
