"""Single rules of pod specs, by the texts of their errors."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.field import Path
from pybernetes.apiserver.kinds.core.poddefaults import default_pod
from pybernetes.apiserver.kinds.core.podspec import pod_spec


def texts(containers: list[dict[str, Any]] | None = None, **spec: Any) -> list[str]:
    made = {"spec": {"containers": containers or [{"name": "c", "image": "x"}], **spec}}
    default_pod(made)
    return [str(e) for e in pod_spec(Path("spec"), made["spec"], pod_name="a", in_pod=True)]


def container(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "c", "image": "x", **fields}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": ""}, "spec.containers[0].name: Required value"),
        ({"image": ""}, "spec.containers[0].image: Required value"),
        (
            {"imagePullPolicy": "X"},
            'spec.containers[0].imagePullPolicy: Unsupported value: "X": supported values: "Always", "IfNotPresent", "Never"',
        ),
        ({"ports": [{"containerPort": 0}]}, "spec.containers[0].ports[0].containerPort: Required value"),
        (
            {"ports": [{"containerPort": 70000}]},
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            {"ports": [{"containerPort": 1, "name": "A"}]},
            'spec.containers[0].ports[0].name: Invalid value: "A": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {"resources": {"limits": {"foo": "1"}}},
            'spec.containers[0].resources.limits[foo]: Invalid value: "foo": must be a standard resource for containers',
        ),
        (
            {"resources": {"limits": {"a.b/c": "1500m"}}},
            'spec.containers[0].resources.limits[a.b/c]: Invalid value: "1500m": must be an integer',
        ),
        (
            {"resources": {"claims": [{"name": "x"}]}},
            'spec.containers[0].resources.claims[0]: Not found: "x": must be one of the names in pod.spec.resourceClaims which is empty',
        ),
        ({"livenessProbe": {}}, "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        (
            {"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}},
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
        ),
        (
            {"securityContext": {"runAsUser": -1}},
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            {"securityContext": {"procMount": "Unmasked"}},
            'spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`',
        ),
    ],
)
def test_containers(fields: dict[str, Any], expected: str) -> None:
    assert expected in texts(container(**fields))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"restartPolicy": "X"},
            'spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never"',
        ),
        ({"dnsPolicy": "None"}, "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        ({"hostUsers": False, "hostPID": True}, "spec.HostPID: Forbidden: when `hostUsers` is false"),
        (
            {"os": {"name": "windows"}, "securityContext": {"runAsUser": 1}},
            "spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod",
        ),
        ({"initContainers": [{"name": "c", "image": "x"}]}, 'spec.initContainers[0].name: Duplicate value: "c"'),
        (
            {"initContainers": [{"name": "i", "image": "x", "readinessProbe": {"exec": {"command": ["x"]}}}]},
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ),
        (
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: "
            "Required value: must have at least one node selector term",
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}]},
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        ),
        (
            {"hostAliases": [{"ip": "01.2.3.4"}]},
            'spec.hostAliases[0].ip: Invalid value: "01.2.3.4": must not have leading 0s',
        ),
        (
            {"resources": {"requests": {"cpu": "1"}}, "containers": container(resources={"requests": {"cpu": "2"}})},
            'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2',
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 1}}]},
                    }
                ]
            },
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 1: "
            "may not specify a duration less than 10 minutes",
        ),
        (
            {"volumes": [{"name": "v", "ephemeral": {}}]},
            "spec.volumes[0].ephemeral.volumeClaimTemplate: Required value",
        ),
        (
            {"securityContext": {"sysctls": [{"name": "net.x"}]}, "hostNetwork": True},
            "spec.securityContext.sysctls[0].name: Invalid value: \"net.x\": may not be specified when 'hostNetwork' is true",
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
        ),
    ],
)
def test_specs(spec: dict[str, Any], expected: str) -> None:
    assert expected in texts(spec.pop("containers", None), **spec)


def test_pod_level_requests_come_from_containers() -> None:
    made: dict[str, Any] = {
        "spec": {
            "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
            "containers": container(resources={"requests": {"cpu": "1"}}),
        }
    }
    default_pod(made)
    assert made["spec"]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
