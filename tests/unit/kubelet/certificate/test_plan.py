"""What is asked for, when it is renewed, and what a request has come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from pybernetes.api.types import certificates_v1
from pybernetes.kubelet.certificate import plan
from pybernetes.pki.certificates import Leaf, Subject

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT = plan.client_template("n1")
LEAF = Leaf("system:node:n1", ("system:nodes",), (), (), BEGINS, BEGINS + timedelta(days=100))
Condition = certificates_v1.CertificateSigningRequestCondition


def test_client_and_serving_templates() -> None:
    assert CLIENT.subject == Subject("system:node:n1", ("system:nodes",))
    assert CLIENT.signer == "kubernetes.io/kube-apiserver-client-kubelet"
    assert CLIENT.usages == ("digital signature", "client auth")
    serving = plan.serving_template("n1", ["n1", "n1"], ["192.0.2.2", "192.0.2.1"])
    assert serving is not None and serving.signer == "kubernetes.io/kubelet-serving"
    assert serving.usages == ("digital signature", "server auth")
    assert (serving.subject.names, serving.subject.addresses) == (["n1"], ["192.0.2.1", "192.0.2.2"])
    assert plan.serving_template("n1", [], []) is None


@pytest.mark.parametrize(("share", "days"), [(0.0, 70), (0.5, 80), (1.0, 90)])
def test_it_is_renewed_between_70_and_90_percent_of_its_life(share: float, days: int) -> None:
    assert plan.rotation_deadline(LEAF, CLIENT, BEGINS, share) == BEGINS + timedelta(days=days)


@pytest.mark.parametrize(
    ("leaf", "problem"),
    [
        (LEAF, ""),
        (replace(LEAF, organizations=("a", "system:nodes"), names=("more",)), ""),
        (replace(LEAF, common_name="system:node:n2"), "it is for system:node:n2, not for system:node:n1"),
        (replace(LEAF, organizations=()), "it is missing requested orgs ['system:nodes']"),
    ],
)
def test_a_certificate_for_others_is_renewed_at_once(leaf: Leaf, problem: str) -> None:
    assert plan.lacks(leaf, CLIENT) == problem
    assert (plan.rotation_deadline(leaf, CLIENT, BEGINS, 0.5) == BEGINS) is bool(problem)


def test_names_and_addresses_that_are_new() -> None:
    template = plan.serving_template("n1", ["n1"], ["192.0.2.1", "2001:db8::1"])
    assert template is not None
    assert "DNS names ['n1']" in plan.lacks(LEAF, template)
    leaf = replace(LEAF, names=("n1",), addresses=("2001:db8::1",))
    assert "IP addresses ['192.0.2.1']" in plan.lacks(leaf, template)
    assert not plan.lacks(replace(leaf, addresses=("2001:db8::1", "192.0.2.1")), template)
    assert plan.rotation_deadline(None, template, BEGINS, 0.5) == BEGINS


@pytest.mark.parametrize(
    ("leaf", "after", "usable"), [(LEAF, 0, True), (LEAF, 100, True), (LEAF, 101, False), (None, 0, False)]
)
def test_usable_to_begin_with(leaf: Leaf | None, after: int, usable: bool) -> None:
    assert (plan.unusable(leaf, BEGINS + timedelta(days=after)) == "") is usable


def test_the_name_is_a_hash_of_key_and_request() -> None:
    name = plan.digested_name(b"key", CLIENT)
    assert name.startswith("node-csr-") and len(name) == len("node-csr-") + 43
    assert name == plan.digested_name(b"key", plan.client_template("n1"))
    others = [
        plan.digested_name(b"another", CLIENT),
        plan.digested_name(b"key", plan.client_template("n2")),
        plan.digested_name(b"key", replace(CLIENT, usages=("digital signature",))),
        plan.digested_name(b"key", replace(CLIENT, usages=("digital signatureclient auth",))),
    ]
    assert len({name, *others}) == 5


@pytest.mark.parametrize(
    ("server", "enciphers"),
    [
        ("v1.20.2", True),
        ("v1.24.17+k3s1", True),
        ("v1.26.0-rc.1", True),
        ("v1.27.0", False),
        ("v1.37.1", False),
        ("", False),
        ("something else", False),
    ],
)
def test_what_a_request_is_for_depends_on_who_approves_it(server: str, enciphers: bool) -> None:
    """The kind: a request that servers of an earlier release leave lying for ever, since they know it by its usages alone."""
    assert ("key encipherment" in plan.usages_for(CLIENT, server)) is enciphers
    assert [u for u in plan.usages_for(CLIENT, server) if u != "key encipherment"] == list(CLIENT.usages)


def request(
    *conditions: Condition, certificate: bytes = b"", uid: str = "u"
) -> certificates_v1.CertificateSigningRequest:
    made = certificates_v1.CertificateSigningRequest()
    made.metadata.name, made.metadata.uid = "c", uid
    made.status.conditions, made.status.certificate = list(conditions), certificate
    return made


APPROVED = Condition(type="Approved", status="True")


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (request(), None),
        (request(certificate=b"x"), None),
        (request(APPROVED), None),
        (request(APPROVED, certificate=b"x"), plan.Issued(b"x")),
        (
            request(Condition(type="Denied", status="True", reason="No", message="why")),
            plan.Refused("certificate signing request is denied, reason: No, message: why"),
        ),
        (
            request(APPROVED, Condition(type="Failed", status="True", reason="Bad", message="why")),
            plan.Refused("certificate signing request failed, reason: Bad, message: why"),
        ),
        (request(APPROVED, certificate=b"x", uid="another"), plan.Refused('csr "c" changed UIDs')),
    ],
)
def test_what_a_request_has_come_to(given: certificates_v1.CertificateSigningRequest, answer: object) -> None:
    assert plan.answer(given, "u") == answer


def test_retries_become_seldom() -> None:
    assert list(islice(plan.retries(), 6)) == [2, 4, 8, 16, 32, 32]
