"""Workloads of 1.15 on a server that serves them again: one object in all versions, scales of then, and a rollback."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from pybernetes.client.http import HTTPClient

from . import control, golden

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}


def options() -> Any:
    return replace(golden.options(), runtime_config={"api/legacy": "true"})


async def call(client: HTTPClient, do: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
    method, path = do.split(" ")
    data = json.dumps(body).encode() if body is not None else b""
    answer = await client.request(method, path, [("Content-Type", kind)], data, timeout=30)
    return answer.status, json.loads(answer.body)


OLD, NOW = "/apis/extensions/v1beta1/namespaces/default", "/apis/apps/v1/namespaces/default"


def test_a_deployment_is_the_same_in_all_versions_and_goes_back() -> None:
    async def main() -> None:
        async with control.controlled(server_options=options) as client:
            made = {"metadata": {"name": "d"}, "spec": {"replicas": 2, "template": TEMPLATE}}
            code, old = await call(client, f"POST {OLD}/deployments", made)
            assert (code, old["apiVersion"]) == (201, "extensions/v1beta1")
            assert old["spec"]["selector"] == {"matchLabels": {"a": "b"}}
            code, now = await call(client, f"GET {NOW}/deployments/d")
            assert (now["apiVersion"], now["metadata"]["uid"]) == ("apps/v1", old["metadata"]["uid"])
            code, scale = await call(client, f"GET {OLD}/deployments/d/scale")
            assert scale["apiVersion"] == "extensions/v1beta1"
            assert (scale["status"]["selector"], scale["status"]["targetSelector"]) == ({"a": "b"}, "a=b")
            scale["spec"]["replicas"] = 1
            del scale["metadata"]["resourceVersion"]  # the controller may have written the status meanwhile
            code, scale = await call(client, f"PUT {OLD}/deployments/d/scale", scale)
            assert (code, scale["spec"]) == (200, {"replicas": 1})
            await revision(client, "1")
            image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}}}
            merge = "application/strategic-merge-patch+json"
            await call(client, f"PATCH {NOW}/deployments/d", image, merge)
            await revision(client, "2")
            wish = {"kind": "DeploymentRollback", "apiVersion": "extensions/v1beta1", "name": "d", "rollbackTo": {}}
            code, told = await call(client, f"POST {OLD}/deployments/d/rollback", wish)
            assert (code, told["message"]) == (201, 'rollback request for deployment "d" succeeded')
            now = await revision(client, "3")
            assert now["spec"]["template"]["spec"]["containers"][0]["image"] == "i:1"
            assert "deprecated.deployment.rollback.to" not in now["metadata"]["annotations"]
            assert (await call(client, f"POST {NOW}/deployments/d/rollback", wish))[0] == 404

    async def revision(client: HTTPClient, wanted: str) -> Any:
        async with asyncio.timeout(30):
            while True:
                _, found = await call(client, f"GET {NOW}/deployments/d")
                if (found["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision") == wanted:
                    return found
                await asyncio.sleep(0.05)

    asyncio.run(main())


def test_without_the_setting_the_paths_are_not_there() -> None:
    async def main() -> None:
        async with golden.server() as client:
            for path in ("/apis/extensions/v1beta1", f"{OLD}/deployments", "/apis/policy/v1beta1/podsecuritypolicies"):
                answer = await client.request("GET", path, [], b"", timeout=30)
                assert answer.status == 404

    asyncio.run(main())


def test_a_group_version_that_is_switched_off_is_not_there() -> None:
    async def main() -> None:
        def hidden() -> Any:
            return replace(golden.options(), runtime_config={"autoscaling/v1": "false"})

        async with golden.server(server_options=hidden) as client:
            path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
            assert (await call(client, f"GET {path}"))[0] == 404
            _, group = await call(client, "GET /apis/autoscaling")
            assert [version["version"] for version in group["versions"]] == ["v2"]

    asyncio.run(main())


FORMS = (
    "application/json",
    "application/vnd.kubernetes.protobuf",
    golden.MEDIA["table"],
    golden.MEDIA["partiallist"],
    "application/yaml",
)
MADE = {
    "/apis/autoscaling/v2beta1/namespaces/default/horizontalpodautoscalers": {
        "maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}}],
    },
    f"{OLD}/deployments": {"template": TEMPLATE},
    f"{OLD}/daemonsets": {"template": TEMPLATE},
    "/apis/apps/v1beta1/namespaces/default/statefulsets": {"serviceName": "s", "template": TEMPLATE},
    "/apis/batch/v2alpha1/namespaces/default/cronjobs": {
        "schedule": "0 0 * * *",
        "jobTemplate": {"spec": {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}},
    },
    "/apis/policy/v1beta1/namespaces/default/poddisruptionbudgets": {"minAvailable": 1, "selector": {}},
    "/apis/policy/v1beta1/podsecuritypolicies": {
        name: {"rule": "RunAsAny"} for name in ("seLinux", "runAsUser", "fsGroup", "supplementalGroups")
    },
    "/apis/flowcontrol.apiserver.k8s.io/v1beta1/prioritylevelconfigurations": {
        "type": "Limited",
        "limited": {"assuredConcurrencyShares": 7, "limitResponse": {"type": "Reject"}},
    },
    "/apis/node.k8s.io/v1alpha1/runtimeclasses": {"runtimeHandler": "r"},
}


def test_everything_old_is_listed_in_each_form() -> None:
    async def main() -> None:
        async with golden.server(server_options=options) as client:
            for path, spec in MADE.items():
                code, made = await call(client, f"POST {path}", {"metadata": {"name": "a"}, "spec": spec})
                assert code == 201, made
            failed = []
            _, groups = await call(client, "GET /apis")
            versions = [version["groupVersion"] for group in groups["groups"] for version in group["versions"]]
            for version in versions:
                _, found = await call(client, f"GET /apis/{version}")
                for resource in found["resources"]:
                    if "list" not in resource["verbs"]:
                        continue
                    for form in FORMS:
                        path = f"/apis/{version}/{resource['name']}"
                        answer = await client.request("GET", path, [("Accept", form)], b"", timeout=30)
                        if answer.status != 200:
                            failed.append((path, form, answer.status, answer.body[:200]))
            assert failed == []

    asyncio.run(main())


def test_its_documents_name_it() -> None:
    async def main() -> None:
        async with golden.server(server_options=options) as client:
            _, document = await call(client, "GET /openapi/v2")
            name = "io.k8s.api.policy.v1beta1.PodSecurityPolicy"
            assert document["definitions"][name]["description"].startswith("PodSecurityPolicy governs")
            assert "/apis/extensions/v1beta1/namespaces/{namespace}/ingresses" in document["paths"]
            _, newer = await call(client, "GET /openapi/v3/apis/policy/v1beta1")
            assert name in newer["components"]["schemas"]

    asyncio.run(main())
