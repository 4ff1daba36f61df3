"""Servers outside that know tokens, and that decide what one may; policies of ABAC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pybernetes.wire.http import Response

from .outside import AUTHORIZATION, Cluster, Outside, cluster, outside, run

Object = dict[str, Any]
PODS, MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"


def known(spec: Object) -> Object:
    """The tokens t1, t2, ..."""
    if not spec["token"].startswith("t"):
        return {"authenticated": False, "error": "who is that?"} if spec["token"] == "wrong" else {}
    return {
        "authenticated": True,
        "user": {"username": spec["token"], "uid": "9", "groups": ["g"], "extra": {"k": ["v"]}},
    }


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_tokens(tmp_path: Path, version: str) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.answers["/tokens"] = known
            kubeconfig = at.kubeconfig("/tokens")
            given = [f"--authentication-token-webhook-config-file={kubeconfig}", "--api-audiences=api"]
            async with cluster(tmp_path, *given, f"--authentication-token-webhook-version={version}") as of:
                user = {"username": "t1", "uid": "9", "groups": ["g", "system:authenticated"], "extra": {"k": ["v"]}}
                assert [await of.who("t1"), await of.who("t1"), await of.who("none")] == [user, user, None]
                assert [review["spec"] for _, review in at.asked] == [
                    {"token": "t1", "audiences": ["api"]},
                    {"token": "none", "audiences": ["api"]},
                ]
                assert {review["apiVersion"] for _, review in at.asked} == {f"authentication.k8s.io/{version}"}
                assert await of.who("jane") is not None and len(at.asked) == 2  # who is known here is asked for nowhere
                assert (await of.review("wrong"))["error"] == "[invalid bearer token, who is that?]"
                assert 'authentication_token_cache_request_total{status="hit"} 1' in of.metrics()

    run(story)


def test_audiences_of_tokens(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.answers["/tokens"] = lambda spec: {**known(spec), "audiences": ["vault", "x"]}
            given = f"--authentication-token-webhook-config-file={at.kubeconfig('/tokens')}"
            async with cluster(tmp_path, given, "--api-audiences=api") as of:
                assert await of.who("t1") is None
                status = await of.review("t1", "api", "vault")
                assert (status["authenticated"], status["audiences"]) == (True, ["vault"])
                assert (await of.review("jane", "api", "vault"))["audiences"] == ["api"]
                assert "authenticated" not in await of.review("jane", "vault")

    run(story)


def test_a_webhook_that_fails_is_asked_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            broken = [Response(403, [], b"no"), Response(200, [], b"[]"), Response(200, [], b'{"kind": "Pod"}')]
            at.answers["/tokens"] = lambda spec: broken.pop(0) if broken else known(spec)
            given = f"--authentication-token-webhook-config-file={at.kubeconfig('/tokens')}"
            async with cluster(tmp_path, given) as of:
                for _ in range(3):
                    assert await of.who("t1") is None
                assert (await of.who("t1") or {}).get("username") == "t1"

    run(story)


def only(name: str, **status: Any) -> Any:
    """Allows one user; of others it has no opinion, or `status`."""
    return lambda spec: (
        {"allowed": True, "reason": f"{name} it is"} if spec.get("user") == name else {"allowed": False, **status}
    )


@pytest.mark.parametrize(("version", "groups"), [("v1", "groups"), ("v1beta1", "group")])
def test_access(tmp_path: Path, version: str, groups: str) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.answers["/may"] = lambda spec: {"allowed": spec.get("resourceAttributes", {}).get("resource") == "pods"}
            given = [
                "--authorization-mode=Webhook,RBAC",
                f"--authorization-webhook-config-file={at.kubeconfig('/may')}",
            ]
            async with cluster(tmp_path, *given, f"--authorization-webhook-version={version}") as of:
                path = f"{PODS}?labelSelector=a%20in%20(b,c)&fieldSelector=spec.nodeName%3Dn"
                assert [(await of.ask(one, "jane"))[0] for one in (path, path, MAPS, MAPS)] == [200, 200, 403, 403]
                assert len(at.asked) == 2  # the rest is remembered
                review = at.asked[0][1]
                assert (review["apiVersion"], review["kind"]) == (
                    f"authorization.k8s.io/{version}",
                    "SubjectAccessReview",
                )
                resource = {"namespace": "default", "verb": "list", "version": "v1", "resource": "pods"}
                requirement = {"key": "spec.nodeName", "operator": "In", "values": ["n"]}
                labels = {"requirements": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}
                assert review["spec"] == {
                    "resourceAttributes": {
                        **resource, "fieldSelector": {"requirements": [requirement]}, "labelSelector": labels
                    },
                    "user": "jane",
                    groups: ["system:authenticated"],
                    "uid": "2",
                }  # fmt: skip
                assert (await of.ask(MAPS, "admin"))[0] == 200 and len(at.asked) == 2  # system:masters asks nobody
                rules = {"spec": {"namespace": "default"}}
                _, answer = await of.ask(f"{AUTHORIZATION}/selfsubjectrulesreviews", "admin", rules)
                status = answer["status"]
                assert (status["incomplete"], status["evaluationError"]) == (
                    True,
                    "webhook authorizer does not support user rule resolution",
                )
                text = of.metrics()
                assert (
                    'apiserver_authorization_decisions_total{type="Webhook",name="default",decision="allowed"} 2'
                    in text
                )
                assert 'apiserver_authorization_webhook_evaluations_total{name="default",result="success"} 2' in text

    run(story)


def hook(at: Outside, path: str, policy: str = "NoOpinion", **more: Any) -> Object:
    return {
        "type": "Webhook",
        "name": path.strip("/"),
        "webhook": {
            "timeout": "3s",
            "subjectAccessReviewVersion": "v1",
            "matchConditionSubjectAccessReviewVersion": "v1",
            "failurePolicy": policy,
            "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": at.kubeconfig(path)},
            **more,
        },
    }


def config(*authorizers: Object) -> Object:
    document = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    return {**document, "authorizers": list(authorizers)}


RBAC = {"type": "RBAC", "name": "rbac"}


def test_several_webhooks_in_their_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.answers |= {"/a": only("bob", denied=True, reason="bob alone"), "/b": only("jane")}
            conditions = [{"expression": "request.?resourceAttributes.resource.orValue('') == 'configmaps'"}]
            file = at.write("may", config(hook(at, "/a", matchConditions=conditions), hook(at, "/b"), RBAC))
            async with cluster(tmp_path, f"--authorization-config={file}") as of:
                assert (await of.ask(PODS, "jane"))[0] == 200
                code, body = await of.ask(MAPS, "jane")
                assert (code, [path for path, _ in at.asked]) == (403, ["/b", "/a"])
                assert body["message"].endswith('in the namespace "default": bob alone')
                text, prefix = of.metrics(), "apiserver_authorization"
                assert f'{prefix}_match_condition_exclusions_total{{type="Webhook",name="a"}} 1' in text
                assert f'{prefix}_decisions_total{{type="Webhook",name="a",decision="denied"}} 1' in text

    run(story)


@pytest.mark.parametrize(("policy", "code"), [("NoOpinion", 200), ("Deny", 500)])
def test_a_webhook_that_fails(tmp_path: Path, policy: str, code: int) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.answers |= {"/a": lambda spec: Response(403, [], b""), "/b": only("jane")}
            file = at.write("may", config(hook(at, "/a", policy), hook(at, "/b"), RBAC))
            async with cluster(tmp_path, f"--authorization-config={file}") as of:
                status, body = await of.ask(PODS, "jane")
                assert status == code
                if code == 500:
                    assert body == f'Internal Server Error: "{PODS}": unknown\n'
                access = {"spec": {"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods"}}}
                _, review = await of.ask(f"{AUTHORIZATION}/subjectaccessreviews", "admin", access)
                assert review["status"]["evaluationError"] == "unknown"
                assert review["status"]["allowed"] is (code == 200)
                opened = 'apiserver_authorization_webhook_evaluations_fail_open_total{name="a",result="error"} 2'
                assert (opened in of.metrics()) is (code == 200)

    run(story)


def test_conditions_that_fail(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.answers["/a"] = only("jane")
            conditions = [{"expression": "request.extra['none'][0] == 'x'"}]
            file = at.write("may", config(hook(at, "/a", "Deny", matchConditions=conditions)))
            async with cluster(tmp_path, f"--authorization-config={file}") as of:
                code, body = await of.ask(PODS, "jane")
                assert (code, at.asked) == (500, [])
                assert (
                    "cel evaluation error: expression 'request.extra['none'][0] == 'x'' resulted in error: no such key: none"
                    in body
                )
                assert 'match_condition_evaluation_errors_total{type="Webhook",name="a"} 1' in of.metrics()

    run(story)


async def look(of: Cluster) -> None:
    """What happens each second."""
    from pybernetes.apiserver.authorization.dynamic import DynamicAuthorizers

    authorizers = of.server.authorizers
    assert isinstance(authorizers, DynamicAuthorizers) and authorizers._follower is not None
    await authorizers._follower.look()


def test_a_file_that_is_followed(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.answers |= {"/a": only("jane"), "/b": only("bob")}
            file = at.write("may", config(RBAC, hook(at, "/a")))
            async with cluster(tmp_path, f"--authorization-config={file}") as of:
                assert (await of.ask(PODS, "jane"))[0] == 200
                for refused in (
                    config(hook(at, "/b")),  # RBAC must stay
                    config(RBAC, hook(at, "/b"), {"type": "Node", "name": "node"}),  # was not there at the start
                    config(RBAC, hook(at, "/b", timeout="1h")),
                ):
                    at.write("may", refused)
                    await look(of)
                    assert (await of.ask(PODS, "jane"))[0] == 200
                at.write("may", config(RBAC, hook(at, "/b")))
                await look(of)
                assert (await of.ask(PODS, "jane"))[0] == 403
                prefix = "apiserver_authorization_config_controller_automatic_reloads_total"
                lines = [line for line in of.metrics().splitlines() if line.startswith(prefix)]
                assert sorted(line.rpartition(" ")[2] for line in lines) == ["1", "3"]

    run(story)


def test_policies(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "policies").write_text(
            '{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", '
            '"spec": {"user": "jane", "namespace": "*", "resource": "pods", "readonly": true}}\n'
        )
        given = ["--authorization-mode=ABAC", f"--authorization-policy-file={tmp_path}/policies"]
        async with cluster(tmp_path, *given) as of:
            assert (await of.ask(PODS, "jane"))[0] == 200
            code, body = await of.ask(MAPS, "jane")
            assert (code, body["message"].rpartition(": ")[2]) == (403, "No policy matched.")
            assert (await of.ask(PODS, "jane", {"metadata": {"name": "a"}}))[0] == 403
            assert (
                'apiserver_authorization_decisions_total{type="ABAC",name="abac",decision="allowed"} 1' in of.metrics()
            )

    run(story)


@pytest.mark.parametrize(
    ("modes", "code"), [("AlwaysDeny", 403), ("AlwaysDeny,AlwaysAllow", 200), ("AlwaysAllow,AlwaysDeny", 200)]
)
def test_always(tmp_path: Path, modes: str, code: int) -> None:
    async def story() -> None:
        async with cluster(tmp_path, f"--authorization-mode={modes}") as of:
            status, body = await of.ask(PODS, "jane")
            assert status == code
            if code == 403:
                assert body["message"].endswith(": Everything is forbidden.")

    run(story)
