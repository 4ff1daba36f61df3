"""What the controller writes into the status of policies, by the schemas that the server publishes."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from .control import controlled
from .controloptions import options
from .policies import REGISTRATION, Object, rule, validating

SECONDS = 60.0
APPS = [rule("deployments", "replicasets", group="apps", version="v1")]


def test_types_are_checked_once_a_generation() -> None:
    async def main() -> None:
        async with controlled(options=options(["validatingadmissionpolicy-status-controller"])) as client:

            async def ask(method: str, path: str, body: Any = None, media: str = "application/json") -> Object:
                data = msgspec.json.encode(body) if body is not None else b""
                answer = await client.request(method, f"{REGISTRATION}/{path}", [("Content-Type", media)], data)
                found: Object = msgspec.json.decode(answer.body)
                assert answer.status < 300, found
                return found

            async def status(name: str, generation: int) -> Object:
                async with asyncio.timeout(SECONDS):
                    while True:
                        policy = await ask("GET", f"validatingadmissionpolicies/{name}")
                        if (policy.get("status") or {}).get("observedGeneration") == generation:
                            return dict(policy["status"])
                        await asyncio.sleep(0.01)

            wrong = validating(
                "wrong",
                {"expression": "object.replicas > 1", "messageExpression": "'at most ' + string(object.spec.frob)"},
                "object.spec.replicas > 1 && variables.labels['a'] == params.data['a']",
                rules=APPS,
                variables=[{"name": "labels", "expression": "object.metadata.labels"}],
                paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            )
            await ask("POST", "validatingadmissionpolicies", wrong)
            found = await status("wrong", 1)
            warnings = {each["fieldRef"]: each["warning"] for each in found["typeChecking"]["expressionWarnings"]}
            fault = "ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n"
            assert warnings["spec.validations[0].expression"] == (
                f"apps/v1, Kind=Deployment: {fault}\napps/v1, Kind=ReplicaSet: {fault}"
            )
            assert "undefined field 'frob'" in warnings["spec.validations[0].messageExpression"]
            assert len(warnings) == 2

            mended = {"spec": {"validations": [{"expression": "object.spec.replicas > 1"}]}}
            await ask("PATCH", "validatingadmissionpolicies/wrong", mended, "application/merge-patch+json")
            assert not (await status("wrong", 2)).get("typeChecking")

            await ask(
                "POST", "validatingadmissionpolicies", validating("right", "object.spec.replicas > 1", rules=APPS)
            )
            assert await status("right", 1) == {"observedGeneration": 1, "typeChecking": {}}

    asyncio.run(main())
