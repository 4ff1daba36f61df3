"""Who one is and what one may, over HTTP: tokens, reviews, and what a cluster with RBAC begins with."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pybernetes.client.http import HTTPClient

from .golden import server

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
AUTHENTICATION, AUTHORIZATION = "/apis/authentication.k8s.io/v1", "/apis/authorization.k8s.io/v1"
Object = dict[str, Any]


async def ask(client: HTTPClient, method: str, path: str, body: Object | None = None, user: str = "") -> Object:
    headers = [("Content-Type", "application/json")]
    if user:
        headers.append(("Impersonate-User", user))
    answer = await client.request(method, path, headers, json.dumps(body).encode() if body else b"", timeout=60)
    found: Object = json.loads(answer.body)
    return found


def with_server(work: Callable[[HTTPClient], Awaitable[None]]) -> None:
    async def main() -> None:
        async with server() as client:
            await work(client)

    asyncio.run(main())


async def token(client: HTTPClient, name: str, **spec: Any) -> Object:
    await ask(client, "POST", ACCOUNTS, {"metadata": {"name": name}})
    return await ask(client, "POST", f"{ACCOUNTS}/{name}/token", {"spec": spec})


def test_a_token_is_known_again() -> None:
    async def work(client: HTTPClient) -> None:
        made = await token(client, "s", expirationSeconds=600)
        assert made["spec"] == {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 600}
        body = {"spec": {"token": made["status"]["token"]}}
        status = (await ask(client, "POST", f"{AUTHENTICATION}/tokenreviews", body))["status"]
        assert status["authenticated"] is True
        assert status["user"]["username"] == "system:serviceaccount:default:s"
        assert status["audiences"] == made["spec"]["audiences"]
        await ask(client, "DELETE", f"{ACCOUNTS}/s")
        status = (await ask(client, "POST", f"{AUTHENTICATION}/tokenreviews", body))["status"]
        assert (status.get("authenticated"), status["user"]) == (None, {})
        assert 'serviceaccounts "s" not found' in status["error"]

    with_server(work)


def test_tokens_that_are_refused() -> None:
    async def work(client: HTTPClient) -> None:
        short = await token(client, "s", expirationSeconds=1)
        assert "may not specify a duration less than 10 minutes" in short["message"]
        none = await ask(client, "POST", f"{ACCOUNTS}/none/token", {"spec": {}})
        assert (none["code"], none["message"]) == (404, 'serviceaccounts "none" not found')
        empty = await ask(client, "POST", f"{AUTHENTICATION}/tokenreviews", {"spec": {}})
        assert empty["message"] == "token is required for TokenReview in authentication"

    with_server(work)


def test_who_am_i_and_what_may_i() -> None:
    async def work(client: HTTPClient) -> None:
        review = await ask(
            client, "POST", f"{AUTHENTICATION}/selfsubjectreviews", {"kind": "SelfSubjectReview"}, "jane"
        )
        assert review["status"]["userInfo"] == {"username": "jane", "groups": ["system:authenticated"]}
        asked = {"spec": {"namespace": "default"}}
        rules = await ask(client, "POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", asked, "jane")
        resources = [name for rule in rules["status"]["resourceRules"] for name in rule["resources"]]
        assert sorted(resources) == ["selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews"]
        assert rules["status"]["incomplete"] is False
        none = await ask(client, "POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {}}, "jane")
        assert none["message"] == "no namespace on request"

    with_server(work)


def test_reviews_are_only_made() -> None:
    async def work(client: HTTPClient) -> None:
        assert (await ask(client, "GET", f"{AUTHENTICATION}/tokenreviews"))["code"] == 405
        body = {"spec": {"user": "u", "resourceAttributes": {}}}
        assert (await ask(client, "POST", f"{AUTHORIZATION}/localsubjectaccessreviews", body))["code"] == 405

    with_server(work)


def test_keys_are_published() -> None:
    async def work(client: HTTPClient) -> None:
        found = await ask(client, "GET", "/.well-known/openid-configuration", user="system:serviceaccount:a:b")
        assert found["issuer"] == "https://kubernetes.default.svc"
        assert len((await ask(client, "GET", "/openid/v1/jwks"))["keys"]) == 1
        refused = await ask(client, "GET", "/openid/v1/jwks", user="jane")
        assert refused["message"] == 'forbidden: User "jane" cannot get path "/openid/v1/jwks"'

    with_server(work)


def test_put_makes_only_what_one_may_create() -> None:
    async def work(client: HTTPClient) -> None:
        rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]}]
        base = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
        await ask(client, "POST", f"{base}/roles", {"metadata": {"name": "r"}, "rules": rules})
        binding = {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "jane"}]}
        await ask(client, "POST", f"{base}/rolebindings", {"metadata": {"name": "b"}, **binding})
        path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
        body = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "x"}}
        assert (await ask(client, "PUT", path, body, "jane"))["code"] == 403
        made = await ask(client, "PUT", path, body)
        assert made["kind"] == "Lease"
        assert (await ask(client, "PUT", path, made, "jane"))["kind"] == "Lease"

    with_server(work)


def test_metrics_tell_of_both() -> None:
    async def work(client: HTTPClient) -> None:
        await ask(client, "GET", ACCOUNTS, user="jane")
        answer = await client.request("GET", "/metrics", [], b"", timeout=60)
        samples = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))
        assert samples['authenticated_user_requests{username="other"}'] == "2"
        assert samples['authentication_attempts{result="success"}'] == "2"
        assert samples['authorization_attempts_total{result="no-opinion"}'] == "1"

    with_server(work)
