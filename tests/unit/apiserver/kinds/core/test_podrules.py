"""Rules of pods that are newer than the recorded cases, by the texts of their errors."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api.wellknown import APP_ARMOR_CONTAINER_ANNOTATION_PREFIX
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.kinds.core import profiles
from pybernetes.apiserver.kinds.core.containerstatus import restarts
from pybernetes.apiserver.kinds.core.pod import RESOURCE, prepare_create, prepare_status, stamp
from pybernetes.apiserver.kinds.core.poddefaults import default_pod
from pybernetes.apiserver.resource import Stamp

CONTAINER = {"name": "c", "image": "x"}
ANNOTATION = f"{APP_ARMOR_CONTAINER_ANNOTATION_PREFIX}c"


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "metadata": {"name": "a", "namespace": "n", "annotations": annotations or {}},
        "spec": {"containers": [dict(CONTAINER)], "serviceAccountName": "default", **deepcopy(spec)},
    }
    default_pod(made)
    prepare_create(made)
    return made


def texts(annotations: dict[str, str] | None = None, **spec: Any) -> list[str]:
    return [str(error) for error in RESOURCE.validate(pod(annotations, **spec))]


def init(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "i", "image": "x", **fields}]


def env(source: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{**CONTAINER, "env": [{"name": "E", "valueFrom": source}]}]}


def projected(**source: Any) -> list[dict[str, Any]]:
    return [{"name": "v", "projected": {"sources": [source]}}]


FILE = {"volumeName": "v", "path": "p", "key": "K"}
RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
CERTIFICATE = {"signerName": "a.example/s", "keyType": "ED25519", "keyPath": "k"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"containers": [{**CONTAINER, "lifecycle": {"stopSignal": "SIGTERM"}}]},
            [
                "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`"
            ],
        ),
        ({"containers": [{**CONTAINER, "lifecycle": {"stopSignal": "SIGRTMIN+3"}}], "os": {"name": "linux"}}, []),
        (
            {"containers": [{**CONTAINER, "lifecycle": {"stopSignal": "SIGHUP"}}], "os": {"name": "windows"}},
            [
                'spec.containers[0].lifecycle.stopSignal: Unsupported value: "SIGHUP": supported values: "SIGKILL", "SIGTERM"'
            ],
        ),
        (
            {"initContainers": init(restartPolicy="Always", restartPolicyRules=[RULE])},
            [
                "spec.initContainers[0].restartPolicyRules: Forbidden: "
                "restartPolicyRules are not allowed for init containers with restart policy Always"
            ],
        ),
        ({"initContainers": init(restartPolicyRules=[RULE])}, []),
        ({"initContainers": init(restartPolicy="Never", restartPolicyRules=[RULE])}, []),
        (
            env({"fileKeyRef": {**FILE, "path": "../p", "key": ""}}),
            [
                "spec.containers[0].env[0].valueFrom.fileKeyRef.key: Required value",
                "spec.containers[0].env[0].valueFrom.fileKeyRef.path: Invalid value: \"../p\": must not contain '..'",
                'spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Not found: "v"',
            ],
        ),
        (
            {**env({"fileKeyRef": FILE}), "volumes": [{"name": "v", "configMap": {"name": "x"}}]},
            [
                'spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Invalid value: "v": '
                "referenced volume must be of type emptyDir"
            ],
        ),
        ({**env({"fileKeyRef": FILE}), "volumes": [{"name": "v", "emptyDir": {}}]}, []),
        (
            {"hostUsers": False, "hostNetwork": True},
            ["spec.hostNetwork: Forbidden: when `hostUsers` is false"],
        ),
        (
            {"hostnameOverride": "A", "hostNetwork": True, "setHostnameAsFQDN": True},
            [
                "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
                "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
                'spec.hostnameOverride: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of',
            ],
        ),
        ({"hostnameOverride": "a" * 65}, ["spec.hostnameOverride: Too long: may not be more than 64 bytes"]),
        (
            {"resources": {"limits": {"cpu": "1"}}, "os": {"name": "windows"}},
            ["spec.resources: Forbidden: may not be set for a windows pod"],
        ),
        (
            {"resources": {"claims": [], "limits": {"cpu": "1"}}},
            ["spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level"],
        ),
        # a container may ask for what the pod as a whole says nothing of
        (
            {
                "resources": {"requests": {"memory": "1Gi"}},
                "containers": [{**CONTAINER, "resources": {"requests": {"cpu": "1"}}}],
            },
            [],
        ),
        (
            {"os": {"name": "beos"}},
            ['spec.os: Unsupported value: "beos": supported values: "linux", "windows"'],
        ),
        (
            {"os": {"name": "windows"}, "hostPID": True, "shareProcessNamespace": False},
            [
                "spec.hostPID: Forbidden: cannot be set for a windows pod",
                "spec.shareProcessNamespace: Forbidden: cannot be set for a windows pod",
            ],
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            [
                "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers"
            ],
        ),
        (
            {"securityContext": {"windowsOptions": {"runAsUserName": "a\\b\\c"}}},
            [
                'spec.securityContext.windowsOptions.runAsUserName: Invalid value: "a\\\\b\\\\c": '
                "runAsUserName cannot contain more than one backslash"
            ],
        ),
        (
            {"volumes": projected(clusterTrustBundle={"name": "A", "path": "p"})},
            [
                'spec.volumes[0].projected.sources[0].clusterTrustBundle.name: Invalid value: "A": '
                "not a valid clustertrustbundlename: a lowercase RFC 1123 subdomain must consist of"
            ],
        ),
        ({"volumes": projected(clusterTrustBundle={"name": "a.example:s:b", "path": "p"})}, []),
        ({"volumes": projected(podCertificate=CERTIFICATE)}, []),
        (
            {"volumes": projected(podCertificate={**CERTIFICATE, "keyPath": "", "keyType": "DSA"})},
            [
                'spec.volumes[0].projected.sources[0].podCertificate.keyType: Unsupported value: "DSA": supported values:',
                "spec.volumes[0].projected.sources[0].podCertificate: Required value: "
                "specify at least one of credentialBundlePath, keyPath, and certificateChainPath",
            ],
        ),
        (
            {"volumes": projected(podCertificate={**CERTIFICATE, "certificateChainPath": "k"})},
            ['spec.volumes[0].projected: Invalid value: "k": conflicting duplicate paths'],
        ),
        (
            {
                "volumes": projected(
                    podCertificate={**CERTIFICATE, "signerName": "kubernetes.io/s", "maxExpirationSeconds": 90000}
                )
            },
            [
                "spec.volumes[0].projected.sources[0].podCertificate.maxExpirationSeconds: Invalid value: 90000: "
                "if provided, maxExpirationSeconds must be <= 86400"
            ],
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "b@d", "whenUnsatisfiable": "DoNotSchedule"}]},
            [],
        ),
    ],
)
def test_specs(spec: dict[str, Any], expected: list[str]) -> None:
    found = texts(**spec)
    assert len(found) == len(expected), found
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("annotations", "context", "expected"),
    [
        ({ANNOTATION: "runtime/default"}, {}, []),
        (
            {f"{APP_ARMOR_CONTAINER_ANNOTATION_PREFIX}x": "no"},
            {},
            [
                f'metadata.annotations[{APP_ARMOR_CONTAINER_ANNOTATION_PREFIX}x]: Invalid value: "x": container not found',
                f'metadata.annotations[{APP_ARMOR_CONTAINER_ANNOTATION_PREFIX}x]: Invalid value: "no": invalid AppArmor profile name: "no"',
            ],
        ),
        (
            {profiles.SECCOMP_POD: "no"},
            {},
            [f'metadata.annotations.{profiles.SECCOMP_POD}: Invalid value: "no": must be a valid seccomp profile'],
        ),
        (
            {profiles.SECCOMP_POD: "unconfined"},
            {"seccompProfile": {"type": "RuntimeDefault"}},
            ["spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match"],
        ),
        ({profiles.SECCOMP_POD: "docker/default"}, {"seccompProfile": {"type": "RuntimeDefault"}}, []),
    ],
)
def test_profiles_in_annotations(annotations: dict[str, str], context: dict[str, Any], expected: list[str]) -> None:
    assert texts(annotations, securityContext=context) == expected


def test_an_annotation_becomes_the_field() -> None:
    made = pod({ANNOTATION: "localhost/p"})
    profile = {"type": "Localhost", "localhostProfile": "p"}
    assert made["spec"]["containers"][0]["securityContext"]["appArmorProfile"] == profile
    same = pod({ANNOTATION: "localhost/p"}, securityContext={"appArmorProfile": profile})
    assert "securityContext" not in same["spec"]["containers"][0]


def test_static_pods_claim_no_devices() -> None:
    claim = {"name": "d", "resourceClaimName": "d"}
    found = texts({"kubernetes.io/config.mirror": "x"}, nodeName="n", resourceClaims=[claim])
    assert found == ["[]: Forbidden: static pods do not support resource claims"]


def test_huge_pages_of_containers_limit_the_pod() -> None:
    amounts = {"hugepages-2Mi": "4Mi", "cpu": "1"}
    made = pod(resources={"limits": {"cpu": "2"}}, containers=[{**CONTAINER, "resources": {"limits": amounts}}])
    assert made["spec"]["resources"]["limits"]["hugepages-2Mi"] == "4Mi"
    assert made["spec"]["resources"]["requests"]["hugepages-2Mi"] == "4Mi"


def test_since_when_a_pod_is_gated() -> None:
    made = pod(schedulingGates=[{"name": "g"}])
    stamp(made, None, Stamp(User("u"), datetime(2026, 1, 2, tzinfo=UTC)))
    assert made["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"


# --- status -------------------------------------------------------------------------------------


def status_texts(spec: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old = pod(**spec)
    old["status"].update(before)
    new = deepcopy(old)
    new["status"].update(after)
    return [str(error) for error in RESOURCE.validate_status(new, old)]


ENDED = {"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 42}}}]}
RUNS = {"containerStatuses": [{"name": "c", "state": {"running": {}}}]}


@pytest.mark.parametrize(
    ("spec", "before", "after", "expected"),
    [
        ({}, {}, {"conditions": [{"type": "b@d"}]}, ['status.conditions[0].Type: Invalid value: "b@d"']),
        ({}, {}, {"observedGeneration": -1}, ["status.observedGeneration: Invalid value: -1"]),
        (
            {"nodeName": "n"},
            {},
            {"nominatedNodeName": "m"},
            ["status.nominatedNodeName: Forbidden: may not be set on pods"],
        ),
        ({}, {}, {"nominatedNodeName": "m"}, []),
        ({}, {}, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}]}, ["status.podIPs: Invalid value: "]),
        ({"restartPolicy": "Never"}, ENDED, RUNS, ["status.containerStatuses[0].state: Forbidden"]),
        ({"restartPolicy": "OnFailure"}, ENDED, RUNS, []),
        (
            {
                "restartPolicy": "Never",
                "containers": [{**CONTAINER, "restartPolicy": "Never", "restartPolicyRules": [RULE]}],
            },
            ENDED,
            RUNS,
            [],
        ),
        (
            {},
            {},
            {"containerStatuses": [{"name": "c", "user": {"linux": {"uid": -1, "gid": 0}}}]},
            ["status.containerStatuses[0].user.linux.uid: Invalid value: -1"],
        ),
        (
            {},
            {},
            {"containerStatuses": [{"name": "c", "allocatedResourcesStatus": [{"name": "claim:x"}]}]},
            ["status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "],
        ),
    ],
)
def test_statuses(spec: dict[str, Any], before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    found = status_texts(spec, before, after)
    assert len(found) == len(expected), found
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("container", "policy", "code", "expected"),
    [
        ({}, "Always", 0, True),
        ({}, "OnFailure", 0, False),
        ({}, "OnFailure", 1, True),
        ({"restartPolicy": "Never"}, "Always", 1, False),
        ({"restartPolicy": "Never", "restartPolicyRules": [RULE]}, "Always", 42, True),
        ({"restartPolicy": "Never", "restartPolicyRules": [RULE]}, "Always", 41, False),
    ],
)
def test_restarts(container: dict[str, Any], policy: str, code: int, expected: bool) -> None:
    assert restarts(container, policy, code) is expected


def test_observed_generations_are_kept() -> None:
    old = pod()
    old["status"] |= {"observedGeneration": 3, "conditions": [{"type": "Ready", "observedGeneration": 2}]}
    new = deepcopy(old)
    new["status"].pop("observedGeneration")
    new["status"]["conditions"] = [{"type": "Ready"}, {"type": "Other"}]
    prepare_status(new, old)
    assert new["status"]["observedGeneration"] == 3
    assert new["status"]["conditions"] == [{"type": "Ready", "observedGeneration": 2}, {"type": "Other"}]


# --- resizing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "change", "expected"),
    [
        (
            {"resources": {}},
            {"name": "d"},
            ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered"],
        ),
        (None, {"image": "y"}, ["spec: Forbidden: only cpu and memory resources are mutable"]),
        ({}, {}, ["spec: Forbidden: Pod running on node without support for resize"]),
        ({"resources": {}}, {}, []),
    ],
)
def test_resizing(running: dict[str, Any] | None, change: dict[str, Any], expected: list[str]) -> None:
    old = pod()
    if running is not None:
        old["status"]["containerStatuses"] = [{"name": "c", "state": {"running": {"startedAt": "x"}}, **running}]
    new = deepcopy(old)
    new["spec"]["containers"][0].update(change)
    found = [str(error) for error in RESOURCE.parts["resize"].validate(new, old)]
    assert len(found) == len(expected), found
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True)), found
