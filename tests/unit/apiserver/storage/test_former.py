"""Where etcd keeps objects of kinds that only --runtime-config serves, and in which form."""

from __future__ import annotations

from pybernetes.api import protobuf, protobufencode
from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.storage.layout import Layout

POLICIES = ("policy", "podsecuritypolicies")


def test_policies_are_where_upstream_had_them() -> None:
    layout = Layout(Keys(), [POLICIES])
    assert layout.theirs("/registry/policy/podsecuritypolicies/a") == "/registry/podsecuritypolicy/a"
    assert layout.ours("/registry/podsecuritypolicy/a") == "/registry/policy/podsecuritypolicies/a"


def test_where_they_are_not_served_they_are_nobody_s() -> None:
    assert Layout(Keys(), []).ours("/registry/podsecuritypolicy/a") == ""


def test_a_policy_is_a_message() -> None:
    rule = {"rule": "RunAsAny"}
    spec = {"seLinux": rule, "runAsUser": rule, "fsGroup": rule, "supplementalGroups": rule, "privileged": True}
    policy = {"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": "a"}, "spec": spec}
    read = protobuf.decode(protobufencode.encode(policy))
    assert (read["kind"], read["spec"]["privileged"], read["spec"]["runAsUser"]) == (policy["kind"], True, rule)
