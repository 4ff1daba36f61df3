"""Webhooks that a test answers, and what of a test ends with its namespace."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.testing import AsyncKube, Cluster, Kube, NotReached, WrongArgument

Object = dict[str, Any]
SECONDS = 60.0


@pytest.fixture(scope="module")
def shared() -> Iterator[Kube]:
    with Cluster(controllers=["cronjob"]) as kube:
        yield kube


@pytest.fixture
def kube(shared: Kube) -> Iterator[Kube]:
    with shared.temporary_namespace() as handle:
        yield handle


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_function_refuses_and_changes(kube: Kube) -> None:
    def review(request: Object) -> object:
        obj = request["object"]
        if obj["data"].get("color") == "blue":
            return f"{obj['metadata']['name']}: no blue"
        obj["data"]["seen"] = kube.namespace if kube.get("namespace", request["namespace"]) else ""
        return obj

    with kube.webhook(review) as hook:
        hook.mutate("cm")
        assert kube.apply(config_map("a", color="red"))["data"] == {"color": "red", "seen": kube.namespace}
        with pytest.raises(StatusError, match="denied the request: b: no blue") as refused:
            kube.apply(config_map("b", color="blue"))
        assert refused.value.code == 403
        assert [one["name"] for one in hook.requests] == ["a", "b"] and "seen" not in hook.requests[0]["object"]["data"]
    assert kube.apply(config_map("b", color="blue"))["data"] == {"color": "blue"}, "its configuration went with it"


def test_what_it_raises_or_cannot_mean_is_told(kube: Kube) -> None:
    def review(request: Object) -> object:
        if request["name"] == "odd":
            return 7
        raise KeyError("missing")

    hook = kube.webhook(review)
    hook.validate("secrets")
    secret = {"apiVersion": "v1", "kind": "Secret"}
    with pytest.raises(StatusError, match="KeyError: 'missing'"):
        kube.apply({**secret, "metadata": {"name": "a"}})
    with pytest.raises(StatusError, match="the test's function answered 7: want None or True"):
        kube.apply({**secret, "metadata": {"name": "odd"}})
    hook.close()
    with kube.webhook(review) as ignored:
        ignored.validate("secrets", failurePolicy="Ignore", operations=["CREATE"])
        assert kube.apply({**secret, "metadata": {"name": "a"}})
        kube.patch("secret", "a", {"data": {"x": "eA=="}})
        assert len(ignored.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "want a function that answers reviews, or the port"),
        ({"review": 5}, r"webhook\(review=5\): want a function"),
        ({"port": 99999}, "port=99999: want a number from 0"),
    ],
)
def test_wrong_arguments(shared: Kube, arguments: Object, words: str) -> None:
    with pytest.raises(WrongArgument, match=words):
        shared.webhook(**arguments)


def test_wrong_kinds(shared: Kube) -> None:
    with shared.webhook(lambda request: None) as hook:
        with pytest.raises(WrongArgument, match="no resource 'widgetz'"):
            hook.validate("widgetz")
        with pytest.raises(WrongArgument, match="want kinds, as"):
            hook.validate()
        with pytest.raises(WrongArgument, match="want a list of CREATE"):
            hook.validate("pods", operations="CREATE")


def widgets(strategy: Object) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2")]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": versions,
            "conversion": strategy,
        },
    }


def test_conversions_of_a_definition(kube: Kube) -> None:
    """As kubebuilder writes them: a Service that there is none of."""

    def convert(obj: Object, version: str) -> Object:
        if version.endswith("v2"):
            obj["spec"] = {"big": obj["spec"]["size"] > 1}
        return obj

    service = {"name": "webhook-service", "namespace": "system", "path": "/convert"}
    strategy = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]},
    }
    with kube.webhook(convert=convert) as hook:
        [applied] = hook.install(widgets(strategy))
        assert applied["spec"]["conversion"]["webhook"]["clientConfig"]["url"] == f"{hook.url}/convert"
        kube.apply({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3}})
        assert kube.get("widgets.v2.example.com", "w")["spec"] == {"big": True}
        assert {one["desiredAPIVersion"] for one in hook.requests} == {"example.com/v2"}
        kube.delete("widgets", "w")
        kube.delete("crd", "widgets.example.com")


def test_a_server_of_the_tests_own(kube: Kube) -> None:
    """It shows the certificate that the handle gives it, and manifests with a Service lead to it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(self.path.partition("?")[0])
            response = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": "never"}}
            body = json.dumps({**review, "request": None, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = kube.webhook(port=server.server_address[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(hook.certificate_file, hook.key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    rules = [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"]}]
    webhook = {
        "name": "never.example.com",
        "rules": rules,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "webhook-service", "namespace": "system", "path": "/validate--v1-secret"}},
    }
    try:
        hook.install(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "never"},
                "webhooks": [webhook],
            }
        )
        with pytest.raises(StatusError, match=r"never\.example\.com\" denied the request: never"):
            kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
        assert asked == ["/validate--v1-secret"] and hook.requests == []
        hook.close()
        assert kube.get_or_none("validatingwebhookconfiguration", "never") is None
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_an_advance_waits_for_a_webhook(kube: Kube) -> None:
    """Else the hour, and with it the request's deadline, would pass before the function has answered."""
    kube.webhook(lambda request: threading.Event().wait(0.05)).validate("jobs", failurePolicy="Fail")
    spec = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
    cron = {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": {"spec": spec}}}}
    kube.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "hourly"}, "spec": cron})
    before = kube.clock.now()
    kube.clock.advance("1h1m")
    assert kube.events.where(reason="FailedCreate")[0]["message"].endswith("denied the request without explanation")
    assert (kube.clock.now() - before).total_seconds() < 3670


def test_what_a_test_arranged_ends_with_its_namespace(shared: Kube) -> None:
    kept = shared.faults.add(verb="delete", resource="nothing", error=500)
    with shared.temporary_namespace("mine") as kube:
        assert kube.namespace.startswith("mine-")
        kube.faults.add(verb="create", error=500)
        kube.pods.script("app=x", exit=1)
        kube.webhook(lambda request: False).validate("*")
        with pytest.raises(StatusError):
            kube.apply(config_map("a"))
    assert shared.apply(config_map("a")) and shared.get("ns", kube.namespace)["metadata"]["deletionTimestamp"]
    assert shared._core.faults.rules == [kept.rule] and shared._core.scripts.kept() == ([], {})
    with shared.temporary_namespace():
        assert shared.requests == []
    kept.remove()


def test_a_coroutine_answers_too() -> None:
    async def review(request: Object) -> object:
        return "no" if request["name"] == "b" else None

    async def main() -> None:
        async with Cluster() as akube:
            assert isinstance(akube, AsyncKube)
            async with await akube.webhook(review) as hook:
                await hook.validate("cm")
                await akube.apply(config_map("a"))
                with pytest.raises(StatusError, match="denied the request: no"):
                    await akube.apply(config_map("b"))
                assert [one["name"] for one in hook.requests] == ["a", "b"]
            await akube.apply(config_map("b"))

            async def there() -> object:
                return len(await akube.list("cm")) >= 2

            assert await akube.wait_until(there)

    import asyncio

    asyncio.run(main())


def test_waiting_for_what_is_no_object(kube: Kube) -> None:
    seen: list[int] = []

    def three() -> list[int]:
        seen.append(1)
        return seen if len(seen) == 3 else []

    assert kube.wait_until(three) == [1, 1, 1]
    with pytest.raises(NotReached, match=r"never gives \[\] after 0.01 s"):

        def never() -> list[int]:
            return []

        kube.wait_until(never, timeout="10ms")
    with pytest.raises(WrongArgument, match="want a function"):
        kube.wait_until("Ready")  # type: ignore[arg-type]
