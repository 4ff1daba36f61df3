"""The policies of the Kubernetes documentation, applied with kubectl as one does who reads it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pybernetes.testing.cluster import TestCluster

from ..clients import Kubectl, found

REPLICAS = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: "demo-policy.example.com"
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups:   ["apps"]
      apiVersions: ["v1"]
      operations:  ["CREATE", "UPDATE"]
      resources:   ["deployments"]
  validations:
    - expression: "object.spec.replicas <= 5"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: "demo-binding-test.example.com"
spec:
  policyName: "demo-policy.example.com"
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchLabels:
        environment: test
"""
IMAGES = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: "image-matches-namespace-environment.policy.example.com"
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups:   ["apps"]
      apiVersions: ["v1"]
      operations:  ["CREATE", "UPDATE"]
      resources:   ["deployments"]
  variables:
  - name: environment
    expression: "'environment' in namespaceObject.metadata.labels ? namespaceObject.metadata.labels['environment'] : 'prod'"
  - name: exempt
    expression: "has(object.metadata.labels) && 'exempt' in object.metadata.labels && object.metadata.labels['exempt'] == 'true'"
  - name: containers
    expression: "object.spec.template.spec.containers"
  - name: containersToCheck
    expression: "variables.containers.filter(c, c.image.contains('example.com/'))"
  validations:
  - expression: "variables.exempt || variables.containersToCheck.all(c, c.image.startsWith(variables.environment + '.'))"
    messageExpression: "'only ' + variables.environment + ' images are allowed in namespace ' + namespaceObject.metadata.name"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: "demo-binding-test2.example.com"
spec:
  policyName: "image-matches-namespace-environment.policy.example.com"
  validationActions: [Warn]
  matchResources:
    namespaceSelector:
      matchExpressions: [{key: environment, operator: Exists}]
"""
SIDECAR = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata:
  name: "sidecar-policy.example.com"
spec:
  paramKind:
    kind: ConfigMap
    apiVersion: v1
  matchConstraints:
    resourceRules:
    - apiGroups:   [""]
      apiVersions: ["v1"]
      operations:  ["CREATE"]
      resources:   ["pods"]
  matchConditions:
    - name: does-not-already-have-sidecar
      expression: "!object.spec.initContainers.exists(ic, ic.name == \\"mesh-proxy\\")"
  failurePolicy: Fail
  reinvocationPolicy: IfNeeded
  mutations:
    - patchType: "JSONPatch"
      jsonPatch:
        expression: >
          [
            JSONPatch{
              op: "add", path: "/spec/initContainers/-",
              value: Object.spec.initContainers{
                name: "mesh-proxy",
                image: params.data["image"],
                restartPolicy: "Always"
              }
            }
          ]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata:
  name: "sidecar-binding-test.example.com"
spec:
  policyName: "sidecar-policy.example.com"
  paramRef: {name: meshproxy, namespace: default, parameterNotFoundAction: Deny}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: meshproxy, namespace: default}
data: {image: "mesh/proxy:v1.0.0"}
"""
MESHED = """
apiVersion: v1
kind: Pod
metadata: {name: meshed, namespace: shop}
spec:
  initContainers: [{name: setup, image: setup}]
  containers: [{name: web, image: web}]
"""
NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {environment: test}}
"""


def story(kubectl: Kubectl) -> None:
    for manifest in (NAMESPACE, REPLICAS, IMAGES):
        assert "Warning" not in kubectl("apply", "-f", "-", stdin=manifest)
    create = ("create", "deployment", "nginx", "-n", "shop")
    refused = kubectl(*create, "--image=nginx", "--replicas=6", code=1)
    policy = "'demo-policy.example.com' with binding 'demo-binding-test.example.com'"
    assert f"ValidatingAdmissionPolicy {policy} denied request: failed expression: object.spec.replicas <= 5" in refused
    warned = kubectl(*create, "--image=dev.example.com/nginx", "--replicas=5")
    assert (
        "Warning: Validation failed for ValidatingAdmissionPolicy "
        "'image-matches-namespace-environment.policy.example.com' with binding 'demo-binding-test2.example.com': "
        "only test images are allowed in namespace shop"
    ) in warned
    scaled = kubectl("scale", "deployment", "nginx", "-n", "shop", "--replicas=6")
    assert "deployment.apps/nginx scaled" in scaled  # deployments/scale is not what the policy speaks of
    kubectl("apply", "-f", "-", stdin=SIDECAR)
    kubectl("create", "-n", "shop", "-f", "-", stdin=MESHED)
    assert "demo-policy.example.com" in kubectl("get", "validatingadmissionpolicies,validatingadmissionpolicybindings")
    shown = kubectl("get", "pod", "meshed", "-n", "shop", "-o", "jsonpath={.spec.initContainers[*].image}")
    assert shown == "setup mesh/proxy:v1.0.0"
    again = kubectl("apply", "--dry-run=server", "-f", "-", stdin=REPLICAS)
    assert again.count("(server dry run)") == 2 and "Warning" not in again


@pytest.mark.parametrize("binary", found().values(), ids=found().keys())
def test_policies_of_the_documentation(binary: str, tmp_path: Path) -> None:
    async def main() -> None:
        cluster = TestCluster(tmp_path)
        running = await cluster.start()
        try:
            await asyncio.to_thread(story, Kubectl(binary, str(running.kubeconfig)))
        finally:
            await cluster.stop()

    asyncio.run(main())
