"""What users of sidecar injectors and policy engines see: kubectl apply against webhooks that change and refuse pods."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.testing.cluster import TestCluster
from pybernetes.wire.http import serve

from ..clients import found
from .webhooks import Object, WebhookServer, patch, serving

MANIFEST = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {injection: enabled}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: sidecar-injector}
webhooks:
- name: inject.example.com
  admissionReviewVersions: [v1, v1beta1]
  sideEffects: None
  namespaceSelector: {matchLabels: {injection: enabled}}
  objectSelector: {matchExpressions: [{key: sidecar, operator: NotIn, values: ["no"]}]}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  clientConfig: {url: "https://127.0.0.1:PORT/inject", caBundle: CA}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: policy}
webhooks:
- name: images.example.com
  admissionReviewVersions: [v1beta1]
  sideEffects: NoneOnDryRun
  rules: [{apiGroups: ["", apps], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [pods, deployments]}]
  clientConfig: {url: "https://127.0.0.1:PORT/policy", caBundle: CA}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: shop}
spec: {containers: [{name: web, image: "IMAGE"}]}
"""


def inject(request: Object) -> Object:
    """Adds a container, and an annotation on top of whatever there is."""
    operations: list[Object] = [
        {"op": "add", "path": "/spec/containers/-", "value": {"name": "proxy", "image": "proxy:1"}}
    ]
    if "annotations" not in request["object"]["metadata"]:
        operations.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    operations.append({"op": "add", "path": "/metadata/annotations/injected", "value": "true"})
    return patch(*operations)


def policy(request: Object) -> Object:
    """No :latest."""
    containers = request["object"]["spec"].get("containers") or []
    bad = [c["image"] for c in containers if c["image"].endswith(":latest")]
    if bad:
        return {"allowed": False, "status": {"code": 403, "message": f"{bad[0]} moves"}}
    return {"allowed": True, "warnings": ["images are looked at"]}


async def kubectl(binary: str, kubeconfig: str, *arguments: str, stdin: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--kubeconfig={kubeconfig}",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(stdin.encode())
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("binary", found().values(), ids=found().keys())
def test_kubectl_apply_with_webhooks(binary: str, tmp_path: Path) -> None:
    async def main() -> None:
        context, ca = serving(tmp_path, datetime.now(UTC))
        hooks = WebhookServer(ca, decide={"/inject": inject, "/policy": policy})
        listener = await serve(hooks.handle, "127.0.0.1", 0, context)
        cluster = TestCluster(tmp_path)
        running = await cluster.start()

        async def ran(*arguments: str, stdin: str = "") -> tuple[int, str]:
            return await kubectl(binary, running.kubeconfig, *arguments, stdin=stdin)

        async def applied(name: str, image: str, *more: str) -> tuple[int, str]:
            text = POD.replace("NAME", name).replace("IMAGE", image)
            return await ran("apply", "-f", "-", *more, stdin=text)

        async def got(name: str) -> Any:
            code, output = await ran("get", "pod", name, "-n", "shop", "-o", "json")
            assert code == 0, output
            return json.loads(output)

        try:
            text = MANIFEST.replace("PORT", str(listener.port)).replace("CA", base64.b64encode(ca).decode())
            code, output = await ran("apply", "-f", "-", stdin=text)
            assert code == 0, output
            code, output = await applied("a", "web:1")
            assert code == 0 and "pod/a created" in output and "Warning: images are looked at" in output, output
            pod = await got("a")
            assert [c["name"] for c in pod["spec"]["containers"]] == ["web", "proxy"]
            assert pod["metadata"]["annotations"]["injected"] == "true"
            assert (await applied("a", "web:1"))[0] == 0
            assert (await got("a"))["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"]
            assert "pod/a configured" in (await applied("a", "web:2"))[1]
            assert [c["image"] for c in (await got("a"))["spec"]["containers"]] == ["web:2", "proxy:1"]
            code, output = await applied("b", "web:latest")
            told = 'admission webhook "images.example.com" denied the request: web:latest moves'
            assert code == 1 and told in output, output
            code, output = await applied("b", "web:1", "--dry-run=server")
            assert code == 0 and "pod/b created (server dry run)" in output, output
            code, output = await applied("c", "web:1", "--server-side")
            assert code == 0 and "serverside-applied" in output, output
            assert [c["name"] for c in (await got("c"))["spec"]["containers"]] == ["web", "proxy"]
            code, output = await ran("run", "d", "--image=web:1", "-n", "shop", "--labels=sidecar=no")
            assert code == 0, output
            assert len((await got("d"))["spec"]["containers"]) == 1
        finally:
            await cluster.stop()
            await listener.stop(0)

    asyncio.run(main())
