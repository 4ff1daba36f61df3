"""docs/security.md does what it says: its files are taken, its commands run, in its order."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..unit.apiserver.authentication.jwts import jwk
from .outside import Outside, outside
from .test_command import SECONDS, Running
from .test_encryption import SECRET, SECRETS, WORD, stored

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
BLOCKS, ACCESS = (
    re.findall(r"^```(\w*)\n(.*?)^```$", part, re.S | re.M) for part in DOCUMENT.read_text().split("\n## Who asks\n")
)
BEFORE = [
    "{",
    "k8s:enc:aesgcm:v1:key1:",
    "k8s:enc:aesgcm:v1:key1:",
]  # what is stored when each encryption.yaml is there


def test_the_document(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    server = Running(tmp_path)
    cluster = {"server": f"https://127.0.0.1:{server.port}", "insecure-skip-tls-verify": True}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "HOME": str(tmp_path)}
    own, seen = list(server.flags), []
    server.start()
    server.ask("POST", SECRETS, SECRET)
    try:
        for language, text in BLOCKS:
            if language == "yaml":
                name = text.partition("\n")[0].removeprefix("# ")
                (tmp_path / name).write_text(text)
                assert yaml.safe_load(text)["kind"] in ("EncryptionConfiguration", "Policy")
                if name == "encryption.yaml":
                    seen.append(stored(tmp_path))
                    server.kill()
                    server.flags = [*own, f"--encryption-provider-config={tmp_path}/{name}"]
                    server.start()
            elif language == "sh" and "kubectl" in text:
                subprocess.run(text, shell=True, check=True, env=environment, capture_output=True, timeout=60)
            elif language == "sh":
                key = subprocess.run(text, shell=True, check=True, capture_output=True, timeout=60).stdout
                assert len(base64.b64decode(key)) == 32
            else:
                server.kill()
                given = re.sub(r"=(\w+\.(?:yaml|log))", rf"={tmp_path}/\1", text).split()
                assert given[:2] == [".venv/bin/pybernetes", "kube-apiserver"]
                server.flags = [*own, *given[2:]]
                if "encryption" not in text:
                    server.flags.append(f"--encryption-provider-config={tmp_path}/encryption.yaml")
                server.start()
        assert [value.decode("latin-1")[: len(start)] for value, start in zip(seen, BEFORE, strict=True)] == BEFORE
        assert stored(tmp_path).startswith(b"k8s:enc:aesgcm:v1:key2:")
        assert base64.b64decode(server.ask("GET", f"{SECRETS}/s")["data"]["word"]).decode() == WORD
        server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    finally:
        server.kill()
    log = (tmp_path / "audit.log").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    assert [(one["level"], one["verb"], one["objectRef"]["resource"]) for one in events] == [
        ("Metadata", "get", "secrets"),
        ("Request", "create", "namespaces"),
    ]
    assert WORD not in log and SECRET["data"]["word"] not in log  # type: ignore[index]


class Story:
    """A server that each command of the page starts anew, with the page's files beside an issuer and a webhook."""

    def __init__(self, folder: Path, at: Outside) -> None:
        self.folder, self.at, self.server = folder, at, Running(folder)
        self.server.flags.remove("--anonymous-auth=false")
        (folder / "tokens").write_text('secret,admin,1,"system:masters"\nbob,bob,2\n')
        (folder / "issuer.crt").write_bytes(at.authority.pem)
        pair = at.authority.serving(["public"], [])
        (folder / "public.crt").write_bytes(pair.certificate)
        (folder / "public.key").write_bytes(pair.key)
        at.kubeconfig("/policy")
        (folder / "kubeconfig-policy").rename(folder / "policy.kubeconfig")
        self.own = list(self.server.flags)

    def here(self, text: str) -> str:
        """The page's places, as they are in this test."""
        text = text.replace("https://login.example.com", f"{self.at.base}/login")
        text = text.replace("/etc/kubernetes/", f"{self.folder}/")
        return re.sub(r"(?<=[=,])(\w+\.(?:yaml|jsonl|crt|key))", rf"{self.folder}/\1", text)

    def write(self, text: str) -> None:
        name = text.partition("\n")[0].removeprefix("# ")
        document = self.here(text)
        if name == "authentication.yaml":  # nobody whom the system trusts has signed the issuer's certificate
            parsed = yaml.safe_load(document)
            parsed["jwt"][0]["issuer"]["certificateAuthority"] = self.at.authority.pem.decode()
            document = json.dumps(parsed)
        (self.folder / name).write_text(document)

    def start(self, command: str, *flags: str) -> None:
        given = self.here(command).split()
        assert given[:2] == [".venv/bin/pybernetes", "kube-apiserver"]
        self.server.flags = [*self.own, *given[2:], *flags]
        self.server.start()

    def code(self, path: str, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"https://127.0.0.1:{self.server.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, context=self.server.context, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code

    def who(self, token: str) -> Any:
        """UserInfo; None for 401."""
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        try:
            return self.server.ask("POST", path, {"kind": "SelfSubjectReview"}, token)["status"]["userInfo"]
        except urllib.error.HTTPError as refused:
            assert refused.code == 401
            refused.close()
            return None

    def soon(self, token: str) -> Any:
        """UserInfo, once the issuer was reached."""
        end = time.monotonic() + SECONDS
        while (found := self.who(token)) is None and time.monotonic() < end:
            time.sleep(0.05)
        return found


MAPS, PODS = "/api/v1/configmaps", "/api/v1/pods"


def told(story: Story, commands: Iterator[str]) -> None:
    """The commands of the page in their order, and what they promise."""
    at, server = story.at, story.server
    claims: dict[str, Any] = {"email": "jane@x", "email_verified": True, "roles": ["dev"], "tenant": "blue"}
    story.start(next(commands), "--authorization-mode=RBAC")
    user = story.soon(at.token("login", **claims))
    assert (user["username"], user["groups"]) == ("oidc:jane@x", ["oidc:dev", "system:authenticated"])
    assert user["extra"] == {"example.com/tenant": ["blue"]}
    assert story.who(at.token("login", **{**claims, "email_verified": False})) is None
    assert [story.code(path) for path in ("/livez", "/version")] == [200, 401]
    server.kill()

    story.start(next(commands))
    assert story.soon(at.token("login", **claims))["username"] == "jane@x"
    server.kill()

    at.answers["/policy"] = lambda spec: {"allowed": spec["resourceAttributes"]["resource"] == "configmaps"}
    story.start(next(commands))
    assert [story.code(path, "bob") for path in (MAPS, PODS, "/metrics")] == [200, 403, 403]
    assert len(at.asked) == 2
    server.kill()

    story.start(next(commands))
    assert [story.code(path, "bob") for path in (MAPS, PODS)] == [200, 403]
    server.kill()

    story.start(next(commands))
    context = ssl.create_default_context(cadata=at.authority.pem.decode())
    context.check_hostname = False
    for name, common in (("api.example.com", "public"), ("a.api.example.com", "public")):
        with (
            socket.create_connection(("127.0.0.1", server.port)) as raw,
            context.wrap_socket(raw, server_hostname=name) as tls,
        ):
            subject: Any = (tls.getpeercert() or {})["subject"]
            assert (subject[-1][-1][1], tls.version()) == (common, "TLSv1.3")
    assert [story.code(path, "secret") for path in ("/readyz", MAPS)] == [200, 200]
    server.process.terminate()
    end = time.monotonic() + SECONDS
    while story.code("/readyz", "secret") == 200 and time.monotonic() < end:
        time.sleep(0.02)
    assert [story.code(path, "secret") for path in ("/readyz", "/livez", MAPS)] == [500, 200, 200]
    assert server.process.wait(SECONDS) == 0
    assert next(commands, None) is None


def test_who_asks_and_who_may(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.keys["login"] = [jwk("RS256")]
            one = Story(tmp_path, at)
            for language, text in ACCESS:
                if language:
                    one.write(text)
            try:
                await asyncio.to_thread(told, one, iter([text for language, text in ACCESS if not language]))
            finally:
                if one.server.process.poll() is None:
                    one.server.kill()

    asyncio.run(story())
