"""Dynamic admission end to end: an API server and a webhook server in one process, over TLS."""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pybernetes.wire.http import Response

from .webhooks import Bench, Object, bench, patch

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
APPS = "/apis/apps/v1/namespaces/default/deployments"


def run(folder: Path, story: Callable[[Bench], Awaitable[None]], *names: str) -> None:
    async def main() -> None:
        async with bench(folder, names) as made:
            await story(made)

    asyncio.run(main())


def config_map(name: str, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}


def pod(name: str, **metadata: Any) -> Object:
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def add(path: str, value: Any) -> Object:
    return {"op": "add", "path": path, "value": value}


def test_a_review_says_what_is_asked(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.configure("Validating", "v", b.hooks.hook("/check", timeoutSeconds=7))
        assert (await b.ask("POST", MAPS + "?fieldManager=me&dryRun=All", config_map("a"))).code == 201
        ((path, asked),) = b.hooks.seen
        assert (path, b.hooks.targets) == ("/check", ["/check?timeout=7s"])
        assert len(asked.pop("uid")) == 36
        obj = asked.pop("object")
        assert obj["data"] == {"a": "1"} and obj["kind"] == "ConfigMap" and obj["metadata"]["uid"]
        assert asked == {
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
            "name": "a",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "golden", "groups": ["system:masters", "system:authenticated"]},
            "oldObject": None,
            "dryRun": True,
            "options": {
                "kind": "CreateOptions",
                "apiVersion": "meta.k8s.io/v1",
                "dryRun": ["All"],
                "fieldManager": "me",
            },
        }

    run(tmp_path, story)


def test_update_and_delete_show_the_old_object(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.ask("POST", MAPS, config_map("a"))
        await b.configure("Validating", "v", b.hooks.hook("/check"))
        merge = "application/merge-patch+json"
        assert (await b.ask("PATCH", MAPS + "/a", {"data": {"a": "2"}}, merge)).code == 200
        assert (await b.ask("DELETE", MAPS + "/a", {"propagationPolicy": "Background"})).code == 200
        (_, update), (_, delete) = b.hooks.seen
        assert (update["object"]["data"], update["oldObject"]["data"]) == ({"a": "2"}, {"a": "1"})
        assert update["options"] == {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"}
        assert (delete["object"], delete["oldObject"]["data"], delete["operation"]) == (None, {"a": "2"}, "DELETE")
        assert delete["options"]["propagationPolicy"] == "Background"

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("response", "code", "message", "reason"),
    [
        ({"allowed": False}, 400, "without explanation", None),
        ({"allowed": False, "status": {"message": "too big", "code": 403}}, 403, ": too big", None),
        ({"allowed": False, "status": {"reason": "Teapot", "code": 200}}, 400, ": Teapot", "Teapot"),
        ({"allowed": False, "status": {"message": "no", "reason": "Gone", "code": 410}}, 410, ": no", "Gone"),
    ],
)
@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
def test_a_denial_is_the_answer(
    tmp_path: Path, kind: str, response: Object, code: int, message: str, reason: str | None
) -> None:
    async def story(b: Bench) -> None:
        await b.configure(kind, "v", b.hooks.hook("/check"))
        b.hooks.decide["/check"] = lambda request: response
        got = await b.ask("POST", MAPS, config_map("a"))
        said = 'admission webhook "check.example.com" denied the request'
        assert got.message == (said + message if message.startswith(":") else f"{said} {message}")
        assert (got.code, got.body["code"], got.body.get("reason"), got.body["status"]) == (
            code,
            code,
            reason,
            "Failure",
        )
        assert (await b.ask("GET", MAPS + "/a")).code == 404

    run(tmp_path, story)


def test_patches_are_written_and_defaults_follow(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        def sidecar(request: Object) -> Object:
            assert "uid" not in request["object"]["metadata"]
            return patch(
                add("/metadata/labels", {"mutated": "yes"}), add("/spec/containers/-", {"name": "s", "image": "j"})
            )

        await b.configure("Mutating", "m", b.hooks.hook("/sidecar", ("pods",)))
        b.hooks.decide["/sidecar"] = sidecar
        made = await b.ask("POST", PODS, pod("p"))
        assert (made.code, made.body["metadata"]["labels"]) == (201, {"mutated": "yes"})
        own, extra = made.body["spec"]["containers"]
        assert (extra["name"], extra["imagePullPolicy"]) == ("s", "Always") and own["name"] == "c"
        stored = await b.ask("GET", PODS + "/p")
        assert stored.body["spec"] == made.body["spec"]

    run(tmp_path, story)


def test_patches_of_updates_touch_no_status_and_no_system_fields(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.ask("POST", PODS, pod("p"))
        await b.configure("Mutating", "m", b.hooks.hook("/m", ("pods",)))
        b.hooks.decide["/m"] = lambda request: patch(
            add("/metadata/labels", {"a": "b"}),
            add("/status/phase", "Failed"),
            add("/metadata/creationTimestamp", "2001-01-01T00:00:00Z"),
        )
        before = (await b.ask("GET", PODS + "/p")).body
        got = await b.ask(
            "PATCH", PODS + "/p", {"metadata": {"annotations": {"x": "y"}}}, "application/merge-patch+json"
        )
        assert (got.code, got.body["metadata"]["labels"]) == (200, {"a": "b"})
        assert got.body["status"] == before["status"]
        assert got.body["metadata"]["creationTimestamp"] == before["metadata"]["creationTimestamp"]
        assert got.body["metadata"]["managedFields"]

    run(tmp_path, story)


def test_what_a_webhook_makes_is_validated(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.configure("Mutating", "m", b.hooks.hook("/m", ("pods",)))
        b.hooks.decide["/m"] = lambda request: patch(add("/spec/containers/0/name", "NOT OK"))
        got = await b.ask("POST", PODS, pod("p"))
        assert (got.code, got.body["reason"]) == (422, "Invalid")
        b.hooks.decide["/m"] = lambda request: patch(add("/spec/containers", "none"))
        got = await b.ask("POST", PODS, pod("p"))
        assert (got.code, got.body["reason"]) == (500, "InternalError")
        b.hooks.decide["/m"] = lambda request: patch(add("/metadata/namespace", "kube-system"))
        got = await b.ask("POST", PODS, pod("p"))
        assert got.code == 400 and "does not match the namespace sent on the request" in got.message
        b.hooks.decide["/m"] = lambda request: patch(add("/spec/a/b", 1))
        got = await b.ask("POST", PODS, pod("p"))
        assert got.message == (
            'Internal error occurred: add operation does not apply: doc is missing path: "/spec/a/b": missing value'
        )

    run(tmp_path, story)


def test_configurations_are_asked_in_the_order_of_their_names(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.configure("Mutating", "zz", b.hooks.hook("/third"))
        await b.configure("Mutating", "aa", b.hooks.hook("/first"), b.hooks.hook("/second"))
        for path in ("/first", "/second", "/third"):
            b.hooks.decide[path] = lambda request: patch(add("/data/a", request["object"]["data"]["a"] + "1"))
        made = await b.ask("POST", MAPS, config_map("a"))
        assert (b.hooks.paths(), made.body["data"]) == (["/first", "/second", "/third"], {"a": "1111"})
        assert (await b.ask("DELETE", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/aa")).code
        b.hooks.seen.clear()
        await b.ask("POST", MAPS, config_map("b"))
        assert b.hooks.paths() == ["/third"]

    run(tmp_path, story)


def test_validating_webhooks_are_asked_together(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.configure("Validating", "v", *(b.hooks.hook(f"/v{n}") for n in range(4)))
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201
        assert sorted(b.hooks.paths()) == ["/v0", "/v1", "/v2", "/v3"]
        b.hooks.decide["/v2"] = lambda request: {"allowed": False}
        got = await b.ask("POST", MAPS, config_map("b"))
        assert got.message == 'admission webhook "v2.example.com" denied the request without explanation'
        assert len(b.hooks.seen) == 8

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("policy", "paths"),
    [("Never", ["/first", "/second"]), ("IfNeeded", ["/first", "/second", "/first"])],
)
def test_reinvocation(tmp_path: Path, policy: str, paths: list[str]) -> None:
    async def story(b: Bench) -> None:
        await b.configure("Mutating", "m", b.hooks.hook("/first", reinvocationPolicy=policy), b.hooks.hook("/second"))
        b.hooks.decide["/second"] = lambda request: patch(add("/data/b", "2"))
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201
        assert b.hooks.paths() == paths

    run(tmp_path, story)


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_failures(tmp_path: Path, policy: str) -> None:
    async def story(b: Bench) -> None:
        json = [("Content-Type", "application/json")]
        b.hooks.raw["/500"] = Response(500, [], b"oops")
        b.hooks.raw["/404"] = Response(404, [], b"")
        b.hooks.raw["/text"] = Response(200, [], b"hello")
        b.hooks.raw["/empty"] = Response(200, json, b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}')
        b.hooks.hang.add("/hang")
        b.hooks.decide["/uid"] = lambda request: {"allowed": True, "uid": "x"}
        b.hooks.decide["/patch"] = lambda request: patch(add("/a", "b"))
        words = {
            "/500": 'failed to call webhook: an error on the server ("oops") has prevented the request from succeeding',
            "/404": "failed to call webhook: the server could not find the requested resource",
            "/text": "failed to call webhook: couldn't get version/kind; json parse error: ",
            "/empty": "received invalid webhook response: webhook response was absent",
            "/hang": 'failed to call webhook: Post "https://127.0.0.1:PORT/hang?timeout=1s": context deadline exceeded',
            "/uid": "received invalid webhook response: expected response.uid=",
            "/patch": "received invalid webhook response: validating webhook may not return response.patch",
        }
        for path, text in words.items():
            hook = b.hooks.hook(path, failurePolicy=policy, timeoutSeconds=1)
            await b.configure("Validating", "v", hook)
            got = await b.ask("POST", MAPS, config_map("a" + path[1:]))
            if policy == "Ignore":
                assert got.code == 201, path
            else:
                start = f'Internal error occurred: failed calling webhook "{path[1:]}.example.com": '
                assert got.message.startswith(start + text.replace("PORT", str(b.hooks.port))), got.message
                assert (got.code, got.body["reason"]) == (500, "InternalError")
            await b.ask("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/v")
        counted = [line for line in await b.metrics() if line.startswith("apiserver_admission_webhook_fail_open_count")]
        assert len(counted) == (7 if policy == "Ignore" else 0)

    run(tmp_path, story)


def test_connections_that_cannot_be_made(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        refused = b.hooks.hook("/a", clientConfig={"url": "https://127.0.0.1:1/a"})
        await b.configure("Validating", "v", refused)
        start = 'Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: '
        got = await b.ask("POST", MAPS, config_map("a"))
        asked = 'Post "https://127.0.0.1:1/a?timeout=10s": '
        assert got.message == start + asked + "dial tcp 127.0.0.1:1: connect: connection refused"
        await b.ask("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/v")
        untrusted = {"url": f"https://127.0.0.1:{b.hooks.port}/a"}
        await b.configure("Validating", "v", b.hooks.hook("/a", clientConfig=untrusted))
        got = await b.ask("POST", MAPS, config_map("a"))
        why = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        assert got.message.endswith(why), got.message

    run(tmp_path, story)


def test_a_server_whose_certificate_is_the_bundle(tmp_path: Path) -> None:
    """As envtest hands it out: to Go all of a bundle is a root, be it an authority or not."""

    async def story(b: Bench) -> None:
        certificate = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", b.hooks.port))
        own = base64.b64encode(certificate.encode()).decode()
        hook = b.hooks.hook("/a", clientConfig={"url": f"https://127.0.0.1:{b.hooks.port}/a", "caBundle": own})
        await b.configure("Validating", "v", hook)
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201
        assert b.hooks.targets == ["/a?timeout=10s"]

    run(tmp_path, story)


def test_a_service_is_called_by_its_name(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        config = {
            "service": {"name": "hook", "namespace": "default", "path": "/in", "port": b.hooks.port},
            "caBundle": base64.b64encode(b.hooks.ca).decode(),
        }
        await b.configure("Validating", "v", b.hooks.hook("/a", clientConfig=config))
        got = await b.ask("POST", MAPS, config_map("a"))
        host = f"hook.default.svc:{b.hooks.port}"
        assert got.message.endswith(f'Post "https://{host}/in?timeout=10s": service "hook" not found'), got.message
        spec = {"type": "ExternalName", "externalName": "localhost"}
        made = await b.ask("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "hook"}, "spec": spec})
        assert made.code == 201, made.body
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201
        assert (b.hooks.targets, b.hooks.hosts) == (["/in?timeout=10s"], [host])

    run(tmp_path, story, "hook.default.svc")


def test_selectors(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        for name, labels in (("in", {"check": "yes"}), ("out", {})):
            await b.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        await b.configure(
            "Validating",
            "v",
            b.hooks.hook("/ns", ("configmaps", "nodes"), namespaceSelector={"matchLabels": {"check": "yes"}}),
            b.hooks.hook("/obj", objectSelector={"matchLabels": {"app": "x"}}),
        )

        async def asked(method: str, path: str, body: Object | None = None) -> list[str]:
            b.hooks.seen.clear()
            answer = await b.ask(method, path, body)
            assert answer.code < 300, answer.body
            return sorted(b.hooks.paths())

        inside, outside = (f"/api/v1/namespaces/{name}/configmaps" for name in ("in", "out"))
        assert await asked("POST", outside, config_map("a")) == []
        assert await asked("POST", inside, config_map("a")) == ["/ns"]
        assert await asked("POST", outside, config_map("b", labels={"app": "x"})) == ["/obj"]
        assert await asked("PUT", outside + "/b", config_map("b")) == ["/obj"]  # the old one had it
        assert await asked("PUT", outside + "/b", config_map("b", labels={"z": ""})) == []
        assert await asked("POST", "/api/v1/nodes", {"metadata": {"name": "n"}}) == ["/ns"]
        assert await asked("DELETE", inside + "/a") == ["/ns"]

    run(tmp_path, story)


def test_equivalent_versions(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        rule = {
            "operations": ["CREATE"],
            "apiGroups": ["autoscaling"],
            "apiVersions": ["v1"],
            "resources": ["horizontalpodautoscalers"],
        }
        await b.configure(
            "Mutating",
            "m",
            b.hooks.hook("/equivalent", rules=[rule]),
            b.hooks.hook("/exact", rules=[rule], matchPolicy="Exact"),
        )
        b.hooks.decide["/equivalent"] = lambda request: patch(add("/spec/targetCPUUtilizationPercentage", 44))
        path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
        spec = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
        made = await b.ask("POST", path, {"metadata": {"name": "h"}, "spec": spec})
        ((_, asked),) = b.hooks.seen
        assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v1", "v2")
        assert asked["object"]["apiVersion"] == "autoscaling/v1"
        assert (made.code, made.body["apiVersion"]) == (201, "autoscaling/v2"), made.body
        (metric,) = made.body["spec"]["metrics"]
        assert metric["resource"]["target"]["averageUtilization"] == 44

    run(tmp_path, story)


def test_subresources_have_their_own_rules(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("p")["spec"]}
        spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        await b.ask("POST", APPS, {"metadata": {"name": "d"}, "spec": spec})
        await b.ask("POST", PODS, pod("p"))
        await b.configure("Validating", "v", b.hooks.hook("/plain", ("deployments", "pods")))
        await b.configure("Mutating", "m", b.hooks.hook("/scale", ("deployments/scale",)))
        await b.configure("Mutating", "s", b.hooks.hook("/sub", ("pods/*",)))
        b.hooks.decide["/scale"] = lambda request: patch(add("/spec/replicas", 7))
        merge = "application/merge-patch+json"
        got = await b.ask("PATCH", APPS + "/d/scale", {"spec": {"replicas": 3}}, merge)
        assert got.body["spec"] == {"replicas": 7}, got.body
        (_, asked), *rest = b.hooks.seen
        assert not rest
        assert (asked["kind"]["kind"], asked["subResource"]) == ("Scale", "scale")
        assert (asked["object"]["spec"], asked["oldObject"]["spec"]) == ({"replicas": 3}, {"replicas": 1})
        b.hooks.seen.clear()
        assert (await b.ask("PATCH", PODS + "/p/status", {"status": {"reason": "x"}}, merge)).code == 200
        binding = {"metadata": {"name": "p"}, "target": {"name": "n"}}
        assert (await b.ask("POST", PODS + "/p/binding", binding)).code == 201
        await b.ask("POST", PODS + "/p/exec?command=ls&stdout=1")
        told = [(path, a["operation"], a["subResource"], a["kind"]["kind"]) for path, a in b.hooks.seen]
        assert told == [
            ("/sub", "UPDATE", "status", "Pod"),
            ("/sub", "CREATE", "binding", "Binding"),
            ("/sub", "CONNECT", "exec", "PodExecOptions"),
        ]
        assert b.hooks.seen[-1][1]["object"]["command"] == ["ls"]

    run(tmp_path, story)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_who_is_refused_is_warned_too(tmp_path: Path, method: str) -> None:
    async def story(b: Bench) -> None:
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201
        b.hooks.decide["/w"] = lambda request: {"allowed": False, "warnings": ["careful"]}
        hook = b.hooks.hook("/w")
        hook["rules"][0]["operations"] = ["*"]
        await b.configure("Validating", "v", hook)
        path = MAPS if method == "POST" else f"{MAPS}/a"
        media = "application/merge-patch+json" if method == "PATCH" else "application/json"
        body = None if method == "DELETE" else config_map("b" if method == "POST" else "a", labels={"x": "1"})
        got = await b.ask(method, path, body, media)
        assert (got.code, got.warnings) == (400, ['299 - "careful"']), got.body
        assert "denied the request" in got.message

    run(tmp_path, story)


def test_warnings_reach_the_client(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.configure("Validating", "v", b.hooks.hook("/w"))
        b.hooks.decide["/w"] = lambda request: {"allowed": True, "warnings": ["careful", "a\nb", "schön → x"]}
        for method, path, body in (("POST", MAPS, config_map("a")), ("DELETE", MAPS + "/a", None)):
            got = await b.ask(method, path, body)
            assert [text.encode("latin-1").decode() for text in got.warnings] == [
                '299 - "careful"',
                '299 - "schön → x"',
            ]

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("request.operation == 'CREATE' && object.data.a == '1'", True),
        ("oldObject != null", False),
        ("!('system:nodes' in request.userInfo.groups)", True),
        ("object.metadata.?labels[?'app'].orValue('') == 'x'", False),
        ("authorizer.group('').resource('configmaps').namespace('default').check('get').allowed()", True),
        ("authorizer.requestResource.check('create').allowed() && request.kind.kind == 'ConfigMap'", True),
        ("authorizer.serviceAccount('default', 'x').group('').resource('secrets').check('list').allowed()", True),
        ("object.data.all(k, object.data.all(l, k == l)) && [1, 2].exists(i, i == 3)", False),
        ("object.nothing == 1", None),
    ],
)
def test_match_conditions(tmp_path: Path, expression: str, asked: bool | None) -> None:
    async def story(b: Bench) -> None:
        conditions = [{"name": "c", "expression": expression}]
        await b.configure("Mutating", "a", b.hooks.hook("/a", matchConditions=conditions, failurePolicy="Ignore"))
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201
        assert b.hooks.paths() == (["/a"] if asked else [])
        await b.configure("Validating", "b", b.hooks.hook("/b", matchConditions=conditions))
        got = await b.ask("POST", MAPS, config_map("b"))
        assert (got.code, "/b" in b.hooks.paths()) == (403 if asked is None else 201, bool(asked))
        if asked is None:
            assert f"is forbidden: expression '{expression}' resulted in error: " in got.message

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("object.data.a", "must evaluate to bool but got dyn"),
        ("request.nothing == 'a'", "compilation failed: ERROR: <input>:1:8: undefined field 'nothing'"),
        (
            "object.data.a ==",
            "compilation failed: ERROR: <input>:1:17: Syntax error: mismatched input '<EOF>' expecting ",
        ),
        ("oldObject.frob()", "undeclared reference to 'frob'"),
    ],
)
def test_conditions_that_are_none(tmp_path: Path, expression: str, words: str) -> None:
    async def story(b: Bench) -> None:
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
        hook = {"matchConditions": [{"name": "c", "expression": expression}], **CONDITIONED}
        refused = await b.ask("POST", path, {"metadata": {"name": "v"}, "webhooks": [hook]})
        assert refused.code == 422 and 'webhooks[0].matchConditions[0].expression: Invalid value: "' in refused.message
        assert words in refused.message

    run(tmp_path, story)


CONDITIONED = {
    "name": "a.b.c",
    "clientConfig": {"url": "https://127.0.0.1:1/a"},
    "admissionReviewVersions": ["v1"],
    "sideEffects": "None",
}


def test_configurations_are_not_asked_about(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.configure("Validating", "v", b.hooks.hook("/all", ("*/*",)))
        b.hooks.decide["/all"] = lambda request: {"allowed": False}
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 400
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/v"
        assert (await b.ask("DELETE", path)).code == 200

    run(tmp_path, story)


def test_metrics(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        assert await b.metrics() == []
        await b.configure("Mutating", "m", b.hooks.hook("/m"))
        await b.ask("POST", MAPS, config_map("a"))
        b.hooks.decide["/m"] = lambda request: {"allowed": False, "status": {"code": 700}}
        await b.ask("POST", MAPS, config_map("b"))
        lines = await b.metrics()
        named = 'name="m.example.com",type="admit",operation="CREATE"'
        assert f'apiserver_admission_webhook_request_total{{{named},code="200",rejected="false"}} 1' in lines
        assert f'apiserver_admission_webhook_request_total{{{named},code="600",rejected="true"}} 1' in lines
        rejected = (
            f'apiserver_admission_webhook_rejection_count{{{named},error_type="no_error",rejection_code="600"}} 1'
        )
        assert rejected in lines
        assert f'apiserver_admission_webhook_admission_duration_seconds_count{{{named},rejected="true"}} 1' in lines

    run(tmp_path, story)
