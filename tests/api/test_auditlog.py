"""The audit log of a server that answers: stages, levels, objects, who asked; a webhook that gets it, and one that is dead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.tokenfile import TokenFile
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.options import FLAGS, audit
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import HTTPClient
from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.store.memory import MemoryStore
from pybernetes.wire.http import Request, Response, serve

from .golden import tokens

MAPS = "/api/v1/namespaces/default/configmaps"
GROUPS = ("system:masters", "system:authenticated")
ADMIN, GUEST = User("admin", GROUPS, "1"), User("guest", ("system:authenticated",))
Ask = Callable[..., Awaitable[Any]]


def policy(folder: Path, *rules: dict[str, Any], **more: Any) -> str:
    path = folder / "policy.yaml"
    path.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules, **more}))
    return f"--audit-policy-file={path}"


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[Ask]:
    """Asks a server that the command line's flags of auditing have made: the code and the body."""
    values = flags.parse("kube-apiserver", FLAGS, list(arguments))
    authentication = AuthenticationOptions(
        tokens=[TokenFile({"admin": ADMIN, "guest": GUEST})], service_accounts=tokens()
    )
    server = APIServer(
        MemoryStore(), Options(authentication=authentication, authorization_modes=("RBAC",), **audit.options(values))
    )
    await server.start()
    http = HTTPClient(f"http://127.0.0.1:{server.port}")

    async def ask(
        method: str, path: str, body: Any = None, token: str = "admin", media: str = "application/json", **headers: str
    ) -> tuple[int, bytes]:
        sent = [("Authorization", f"Bearer {token}"), ("Content-Type", media), ("User-Agent", "test"), *headers.items()]
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await http.request(method, path, sent, data, timeout=30)
        return answer.status, answer.body

    try:
        yield ask
    finally:
        await http.close()
        await server.stop(0)


def logged(folder: Path, path: str = MAPS) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    return [line for line in lines if line["requestURI"].startswith(path)]


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await story()

    asyncio.run(main())


def test_levels_and_stages(tmp_path: Path) -> None:
    levels = {"get": "Metadata", "create": "RequestResponse", "patch": "Request", "delete": "Metadata", "list": "None"}
    rules = [{"level": level, "verbs": [verb]} for verb, level in levels.items()]

    async def story() -> None:
        async with served(policy(tmp_path, *rules), f"--audit-log-path={tmp_path}/audit.log") as ask:
            pretty = b'{\n  "metadata": {"name": "a"},\n  "data": {"k": "v"}\n}'
            assert (await ask("POST", MAPS, pretty))[0] == 201
            assert (await ask("GET", f"{MAPS}/a"))[0] == 200
            merge = "application/merge-patch+json"
            assert (await ask("PATCH", f"{MAPS}/a", {"data": {"k": "w"}}, media=merge))[0] == 200
            assert (await ask("GET", MAPS))[0] == 200
            assert (await ask("DELETE", f"{MAPS}/a"))[0] == 200
            _, text = await ask("GET", "/metrics")
        for words in (
            'level_total{level="None"} 1',
            'level_total{level="RequestResponse"} 1',
            "requests_rejected_total 0",
        ):
            assert f"apiserver_audit_{words}" in text.decode()

    run(story)
    events = logged(tmp_path)
    assert [(one["verb"], one["stage"], one["level"]) for one in events] == [
        (verb, stage, levels[verb])
        for verb in ("create", "get", "patch", "delete")
        for stage in ("RequestReceived", "ResponseComplete")
    ]
    assert all("responseStatus" not in one and "annotations" not in one for one in events[::2])
    assert events[0]["requestReceivedTimestamp"] == events[0]["stageTimestamp"]
    create, get, patch, delete = events[1::2]
    assert create["auditID"] == events[0]["auditID"]
    assert create["user"] == {"username": "admin", "uid": "1", "groups": list(GROUPS)}
    assert create["sourceIPs"] == ["127.0.0.1"] and create["userAgent"] == "test"
    assert create["requestObject"] == {"metadata": {"name": "a"}, "data": {"k": "v"}}
    assert create["responseObject"]["metadata"]["uid"] and create["responseObject"]["kind"] == "ConfigMap"
    assert create["objectRef"] == {"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"}
    assert create["annotations"] == {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}
    assert create["responseStatus"] == {"metadata": {}, "code": 201}
    assert "requestObject" not in get and "responseObject" not in get
    assert patch["requestObject"] == {"data": {"k": "w"}} and "responseObject" not in patch
    assert delete["responseStatus"]["status"] == "Success" and delete["responseStatus"]["details"]["name"] == "a"


def test_who_may_not_and_who_is_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        rule = {"level": "RequestResponse", "omitStages": ["RequestReceived"]}
        async with served(policy(tmp_path, rule), f"--audit-log-path={tmp_path}/audit.log") as ask:
            assert (await ask("POST", MAPS, {"metadata": {"name": "a"}}, token="guest"))[0] == 403
            assert (await ask("GET", MAPS, token="wrong"))[0] == 401
            assert (await ask("GET", f"{MAPS}/a"))[0] == 404
            headers = {"Impersonate-User": "jane", "Impersonate-Group": "devs"}
            assert (await ask("GET", MAPS, **headers))[0] == 403

    run(story)
    forbidden, unknown, missing, impersonated = logged(tmp_path)
    assert forbidden["annotations"]["authorization.k8s.io/decision"] == "forbid" and "requestObject" not in forbidden
    assert forbidden["responseStatus"]["reason"] == "Forbidden" and forbidden["responseStatus"]["code"] == 403
    assert forbidden["responseObject"]["kind"] == "Status"
    assert (unknown["stage"], unknown["user"], unknown["responseStatus"]) == (
        "ResponseStarted",
        {},
        {"metadata": {}, "message": "Authentication failed, attempted: bearer", "code": 401},
    )
    assert missing["responseStatus"]["reason"] == "NotFound"
    assert impersonated["user"]["username"] == "admin"
    assert impersonated["impersonatedUser"] == {"username": "jane", "groups": ["devs", "system:authenticated"]}


def test_a_watch_has_its_stages(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(policy(tmp_path, {"level": "Metadata"}), f"--audit-log-path={tmp_path}/audit.log") as ask:
            await ask("GET", f"{MAPS}?watch=1&timeoutSeconds=1")

    run(story)
    stages = [(one["stage"], one.get("responseStatus", {}).get("code")) for one in logged(tmp_path)]
    assert stages == [("RequestReceived", None), ("ResponseStarted", 200), ("ResponseComplete", 200)]


def test_managed_fields_and_protobuf(tmp_path: Path) -> None:
    async def story() -> None:
        rules = {"level": "RequestResponse", "omitStages": ["RequestReceived"]}
        async with served(
            policy(tmp_path, rules, omitManagedFields=True), f"--audit-log-path={tmp_path}/audit.log"
        ) as ask:
            await ask("POST", f"{MAPS}?fieldManager=m", {"metadata": {"name": "a"}})
            _, packed = await ask("GET", f"{MAPS}/a", Accept="application/vnd.kubernetes.protobuf")
            assert packed.startswith(b"k8s\0")
            media = "application/apply-patch+yaml"
            body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"
            assert (await ask("PATCH", f"{MAPS}/a?fieldManager=y", body, media=media))[0] == 200

    run(story)
    create, get, apply = logged(tmp_path)
    assert "managedFields" not in create["responseObject"]["metadata"]
    assert get["responseObject"]["kind"] == "ConfigMap" and get["responseObject"]["metadata"]["name"] == "a"
    assert apply["requestObject"]["data"] == {"k": "v"}


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"\xff"),
        ("application/yaml", b"a: [\n"),
        ("application/vnd.kubernetes.protobuf", b"k8s\0\xff"),
        ("text/plain", b"words"),
    ],
)
def test_bodies_that_are_no_objects_harm_nothing(media: str, body: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        rules = {"level": "RequestResponse", "omitStages": ["RequestReceived"]}
        async with served(policy(tmp_path, rules), f"--audit-log-path={tmp_path}/audit.log") as ask:
            for method, path in (("POST", MAPS), ("PATCH", f"{MAPS}/a"), ("DELETE", f"{MAPS}/a")):
                assert (await ask(method, path, body, media=media))[0] in (400, 404, 415)

    run(story)
    assert [("requestObject" in one, one["responseObject"]["kind"]) for one in logged(tmp_path)] == [
        (False, "Status")
    ] * 3


def test_a_strict_log_that_cannot_be_written_refuses_requests(tmp_path: Path) -> None:
    """/dev/full takes nothing."""

    async def story() -> None:
        rule = policy(tmp_path, {"level": "Metadata", "nonResourceURLs": ["/version"]})
        where = ("--audit-log-path=/dev/full", "--audit-log-maxsize=0")
        async with served(rule, *where, "--audit-log-mode=blocking-strict") as ask:
            words = b'Internal Server Error: "/version": failed to store audit event\n'
            assert await ask("GET", "/version") == (500, words)
            _, text = await ask("GET", "/metrics")
            assert b"apiserver_audit_requests_rejected_total 1\n" in text
        for mode in ("blocking", "batch"):
            async with served(rule, *where, f"--audit-log-mode={mode}") as ask:
                assert (await ask("GET", "/version"))[0] == 200

    run(story)


def test_a_webhook(tmp_path: Path) -> None:
    async def story() -> None:
        lists: list[dict[str, Any]] = []
        failures = 1

        async def take(request: Request) -> Response:
            nonlocal failures
            if failures:
                failures -= 1
                return Response(500, (), b"later")
            lists.append({"path": request.raw_path.decode(), **json.loads(request.body)})
            return Response(200, (), b"")

        hook = await serve(take, "127.0.0.1", 0)
        config = {"clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{hook.port}/events"}}]}
        config |= {"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "current-context": "c"}
        config |= {"users": [{"name": "u", "user": {"token": "t"}}]}
        (tmp_path / "hook.yaml").write_text(json.dumps(config))
        settings = ("--audit-webhook-batch-max-wait=50ms", "--audit-webhook-initial-backoff=10ms")
        file = f"--audit-webhook-config-file={tmp_path}/hook.yaml"
        async with served(policy(tmp_path, {"level": "Metadata"}), file, *settings) as ask:
            for _ in range(3):
                await ask("GET", MAPS)
        await hook.stop(0)
        items = [item for one in lists for item in one["items"]]
        assert all(one["kind"] == "EventList" and one["path"] == "/events" for one in lists)
        assert len([item for item in items if item["requestURI"] == MAPS]) == 6
        async with served(policy(tmp_path, {"level": "Metadata"}), file, *settings) as ask:  # nobody is there
            assert (await ask("GET", MAPS))[0] == 200

    run(story)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--audit-log-mode=soon"], 'invalid audit log mode soon, allowed modes are "batch,blocking,blocking-strict"'),
        (["--audit-log-mode=batch", "--audit-log-batch-buffer-size=0"], "invalid audit batch log buffer size 0, must be a positive number"),
        (["--audit-log-truncate-max-event-size=0"], "invalid audit truncate log max event size 0, must be a positive number"),
        (["--audit-log-version=audit.k8s.io/v1beta1"], 'invalid group version, allowed versions are ["audit.k8s.io/v1"]'),
        (["--audit-log-format=xml"], 'invalid audit log format xml, allowed formats are "legacy,json"'),
        (["--audit-log-maxage=-1"], "--audit-log-maxage -1 can't be a negative number"),
        (["--audit-policy-file=/none"], 'loading audit policy file: error reading audit policy file "/none": No such file'),
    ],
)  # fmt: skip
def test_flags(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        audit.options(flags.parse("kube-apiserver", FLAGS, ["--audit-log-path=-", *arguments]))
    assert str(refused.value).startswith(words)


def test_no_policy_writes_nothing(tmp_path: Path) -> None:
    assert audit.options(flags.parse("kube-apiserver", FLAGS, [f"--audit-log-path={tmp_path}/audit.log"])) == {}


def test_a_token_is_followed_from_where_it_was_issued(tmp_path: Path) -> None:
    """Its id is in the event of the one who asked for it, and in those of who uses it."""

    async def story() -> None:
        rules = policy(tmp_path, {"level": "Metadata"}, omitStages=["RequestReceived"])
        async with served(rules, f"--audit-log-path={tmp_path}/audit.log") as ask:
            accounts = "/api/v1/namespaces/default/serviceaccounts"
            await ask("POST", accounts, {"metadata": {"name": "s"}})
            code, body = await ask("POST", f"{accounts}/s/token", {"spec": {}})
            assert code == 201
            await ask("GET", MAPS, token=json.loads(body)["status"]["token"])
        (issued,) = logged(tmp_path, f"{accounts}/s/token")
        (used,) = logged(tmp_path)
        name = issued["annotations"]["authentication.kubernetes.io/issued-credential-id"]
        assert name.startswith("JTI=")
        assert used["user"]["extra"]["authentication.kubernetes.io/credential-id"] == [name]

    run(story)
