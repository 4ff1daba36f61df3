"""Bodies are decoded strictly; what is refused is explained as upstream does."""

import time
from typing import Any

import msgspec
import pytest

from pybernetes.api import gosyntax
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.kinds.admissionregistration.mutatingwebhookconfiguration import RESOURCE as WEBHOOK
from pybernetes.apiserver.kinds.apps.deployment import RESOURCE as DEPLOYMENT
from pybernetes.apiserver.kinds.certificates.certificatesigningrequest import RESOURCE as CSR
from pybernetes.apiserver.kinds.coordination.lease import RESOURCE as LEASE
from pybernetes.apiserver.kinds.core.configmap import RESOURCE as CONFIG_MAP
from pybernetes.apiserver.kinds.core.limitrange import RESOURCE as LIMIT_RANGE
from pybernetes.apiserver.kinds.core.pod import RESOURCE as POD
from pybernetes.apiserver.kinds.core.secret import RESOURCE as SECRET
from pybernetes.apiserver.pieces import has_duplicates
from pybernetes.apiserver.schema import compiled
from pybernetes.apiserver.schemawalker import untyped

PREFIX = 'Pod in version "v1" cannot be handled as a Pod: '
FORM = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"spec":{"containers":[{"name":1}]}}',
            "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
        ),
        (
            b'{"spec":{"hostNetwork":"x"}}',
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            b'{"spec":{"priority":3000000000}}',
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            b'{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}',
            f"quantities must match the regular expression {FORM}",
        ),
        (
            b'{"metadata":{"deletionTimestamp":"soon"}}',
            'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
        ),
    ],
)
def test_wrong_types(body: bytes, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        compiled(POD).decode(body)
    assert (refused.value.code, str(refused.value)) == (400, PREFIX + message)


SECRET_PREFIX = 'Secret in version "v1" cannot be handled as a Secret: '


@pytest.mark.parametrize("text", ["aGVsbG8=", "aGVs\nbG8=\n", "aGVs\r\nbG8=\r\n", "\naGVsbG8\n=\n", "a\nG\nV\ns\nbG8="])
def test_ends_of_lines_in_bytes_count_for_nothing(text: str) -> None:
    """The kind: Go's base64 takes CR and LF anywhere, and what is stored is one form. Of every kind that has bytes; also
    lists of numbers, and bits behind the last byte."""
    body = msgspec.json.encode({"data": {"a": text}})
    assert compiled(SECRET).decode(body)[0]["data"] == {"a": "aGVsbG8="}
    assert compiled(SECRET).normalize(msgspec.json.decode(body))[0]["data"] == {"a": "aGVsbG8="}
    binary = msgspec.json.encode({"binaryData": {"a": text}})
    assert compiled(CONFIG_MAP).decode(binary)[0]["binaryData"] == {"a": "aGVsbG8="}
    request = msgspec.json.encode({"spec": {"request": text}})
    assert compiled(CSR).decode(request)[0]["spec"]["request"] == "aGVsbG8="
    hook = msgspec.json.encode({"webhooks": [{"clientConfig": {"caBundle": text}}]})
    assert compiled(WEBHOOK).decode(hook)[0]["webhooks"][0]["clientConfig"]["caBundle"] == "aGVsbG8="


def test_other_forms_of_bytes() -> None:
    assert compiled(SECRET).decode(b'{"data":{"a":[104,105],"b":"aGl=","c":null}}')[0]["data"] == {
        "a": "aGk=",
        "b": "aGk=",
        "c": "",
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'"aGVs!bG8="', "illegal base64 data at input byte 4"),
        (b'"aG\\nV!"', "illegal base64 data at input byte 4"),
        (b"5", "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"),
        (b"{}", "json: cannot unmarshal object into Go struct field Secret.data of type []uint8"),
        (b"[300]", "json: cannot unmarshal number 300 into Go struct field Secret.data of type uint8"),
    ],
)
def test_no_bytes(data: bytes, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        compiled(SECRET).decode(b'{"data":{"a":%b}}' % data)
    assert str(refused.value) == SECRET_PREFIX + message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ('"replicas":2.0', "number 2.0 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ('"replicas":3e+06', "number 3e+06 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ('"replicas":-0.5', "number -0.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ('"replicas":1e400', "number 1e400 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ('"replicas":2147483648', "number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ('"replicas":true', "bool into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (
            '"strategy":{"rollingUpdate":{"maxSurge":1.0}}',
            "number 1.0 into Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32",
        ),
        (
            '"template":{"spec":{"terminationGracePeriodSeconds":9223372036854775808}}',
            "number 9223372036854775808 into Go struct field PodSpec.spec.template.spec.terminationGracePeriodSeconds of type int64",
        ),
        (
            '"template":{"metadata":{"labels":{"a":5}}}',
            "number into Go struct field ObjectMeta.spec.template.metadata.labels of type string",
        ),
        (
            '"selector":{"matchExpressions":[{"values":[{}]}]}',
            "object into Go struct field LabelSelectorRequirement.spec.selector.matchExpressions.values of type string",
        ),
    ],
)
def test_numbers_and_places_in_the_words_of_go(spec: str, message: str) -> None:
    """The kind: an integer's text has neither point nor exponent; paths name fields, and neither keys of maps nor items."""
    with pytest.raises(StatusError) as refused:
        compiled(DEPLOYMENT).decode(f'{{"spec":{{{spec}}}}}'.encode())
    prefix = 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal '
    assert (refused.value.code, str(refused.value)) == (400, prefix + message)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ('"containers":[{"imagePullPolicy":5}]', "Container.spec.containers.imagePullPolicy of type v1.PullPolicy"),
        (
            '"containers":[{"resources":{"limits":"x"}}]',
            "ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList",
        ),
        ('"tolerations":[{"effect":true}]', "Toleration.spec.tolerations.effect of type v1.TaintEffect"),
        ('"securityContext":{"supplementalGroupsPolicy":[]}', "of type v1.SupplementalGroupsPolicy"),
        (
            '"containers":[{"securityContext":{"capabilities":{"add":[7]}}}]',
            "securityContext.capabilities.add of type v1.Capability",
        ),
        (
            '"containers":[{"securityContext":{"capabilities":{"add":7}}}]',
            "securityContext.capabilities.add of type []v1.Capability",
        ),
    ],
)
def test_types_with_a_name_are_called_by_it(spec: str, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        compiled(POD).decode(f'{{"spec":{{{spec}}}}}'.encode())
    assert str(refused.value).endswith(message)


def test_what_a_strategic_patch_makes_may_have_from_map() -> None:
    document = {"spec": {"replicas": 2.0}}
    assert compiled(DEPLOYMENT).normalize(document)[0]["spec"]["replicas"] == 2
    with pytest.raises(StatusError, match=r"number 2\.0 into"):
        compiled(DEPLOYMENT).normalize(document, from_map=False)


@pytest.mark.parametrize(
    "document, message",
    [
        ({"metadata": {"labels": "invalid"}}, "cannot restore map from string"),
        ({"metadata": {"labels": [1]}}, "cannot restore map from slice"),
        ({"metadata": {"labels": {"a": {}}}}, "unrecognized type: string"),
        ({"metadata": "m"}, "cannot restore struct from: string"),
        ({"spec": {"template": {"spec": {"containers": "c"}}}}, "cannot restore slice from string"),
        ({"spec": {"template": {"spec": {"containers": [True]}}}}, "cannot restore struct from: bool"),
        ({"spec": {"template": {"spec": {"dnsPolicy": 7}}}}, "cannot convert int64 to v1.DNSPolicy"),
        ({"spec": {"template": {"spec": {"hostNetwork": "yes"}}}}, "unrecognized type: bool"),
        ({"spec": {"replicas": 1.5}}, "cannot convert float64 to int32"),
        ({"spec": {"replicas": "1"}}, "unrecognized type: int32"),
    ],
)
def test_a_strategic_patch_is_refused_in_the_words_of_the_converter(document: dict[str, Any], message: str) -> None:
    """The kind: who reads a value has words of its own for a wrong type; upstream reads what a strategic patch made from a map."""
    with pytest.raises(StatusError) as refused:
        compiled(DEPLOYMENT).normalize(document)
    assert str(refused.value).endswith(f": {message}")


def test_what_is_no_text_is_replaced() -> None:
    """As Go reads it: each bad byte, a surrogate without the other half, in values and keys."""
    body = b'{"data":{"a":"x\xff\xe2\x82y","b":"\\ud800!","c\xff":"\\ud83d\\ude00"}}'
    expected = {"a": "x\ufffd\ufffd\ufffdy", "b": "\ufffd!", "c\ufffd": "\U0001f600"}
    assert compiled(CONFIG_MAP).decode(body)[0]["data"] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0001-01-01T00:00:02.000000Z", "0001-01-01T00:00:02.000000Z"),
        ("0999-12-31T23:59:59.999999-01:00", "1000-01-01T00:59:59.999999Z"),
        ("2024-02-29T00:00:00.000001Z", "2024-02-29T00:00:00.000001Z"),
        ("0001-01-01T00:00:00.000000Z", None),
    ],
)
def test_times_have_four_digits_of_year(value: str, expected: str | None) -> None:
    body = msgspec.json.encode({"spec": {"renewTime": value}})
    assert compiled(LEASE).decode(body)[0]["spec"].get("renewTime") == expected


def test_null_in_maps_and_lists_is_the_zero_value() -> None:
    body = b'{"metadata":{"labels":{"a":null}},"spec":{"containers":[null],"nodeName":null}}'
    plain = compiled(POD).decode(body)[0]
    assert plain["metadata"]["labels"] == {"a": ""}
    assert plain["spec"] == {"containers": [{"name": "", "resources": {}}]}


def test_unknown_fields() -> None:
    body = b'{"spec":{"foo":1,"containers":[{"name":"c","bar":2}]}}'
    plain, warnings = compiled(POD).decode(body, "Warn")
    assert warnings == ['unknown field "spec.foo"', 'unknown field "spec.containers[0].bar"']
    assert plain["spec"] == {"containers": [{"name": "c", "resources": {}}]}
    assert compiled(POD).decode(body, "Ignore") == (plain, [])
    with pytest.raises(
        StatusError, match=r'strict decoding error: unknown field "spec.foo", unknown field "spec.containers\[0\].bar"'
    ):
        compiled(POD).decode(body, "Strict")


def test_values_are_canonical_and_zero_values_as_go_writes_them() -> None:
    body = b'{"metadata":{"labels":null,"creationTimestamp":"2026-01-02T03:04:05.6+01:00"},"spec":{"hostNetwork":false,"containers":[]}}'
    plain, _ = compiled(POD).decode(body)
    assert plain == {
        "metadata": {"creationTimestamp": "2026-01-02T02:04:05Z"},
        "spec": {"containers": None},
        "status": {},
    }


@pytest.mark.parametrize("body", [b'{"spec":{}}', b'{"spec":{"limits":[]}}', b'{"spec":{"limits":null}}'])
def test_an_empty_required_list_is_null(body: bytes) -> None:
    assert compiled(LIMIT_RANGE).decode(body)[0]["spec"] == {"limits": None}


def test_null_is_an_empty_object() -> None:
    assert compiled(POD).decode(b"null") == compiled(POD).decode(b"{}")


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":\xff}', b"[]", b'"x"', b'{"spec":{"nodeName":"x"'])
def test_no_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        compiled(POD).decode(body)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a":1,"b":{"a":2}}', []),
        (b'{"a":1,"a":2}', ['duplicate field "a"']),
        (b'{"x":[{"a":1},{"b":1,"b":2,"b":3}],"x":[]}', ['duplicate field "x"']),
        (b'{"x":[{"a":1},{"b":{"c":1,"c":2}}]}', ['duplicate field "x[1].b.c"']),
        (b'{"a" : 1, "a" : 2, "b": 3}', ['duplicate field "a"']),
        (b'{"a":"\\":","b":"\\u0022:"}', []),
        (b'{"a":1,"a":2,"b" :3}', ['duplicate field "a"']),  # as many colons after quotes as members are left
        (b'{"a":1,"a":2,"b"\n:3}', ['duplicate field "a"']),
        (b'{"a":1,"a":2,"b":"c :"}', ['duplicate field "a"']),
    ],
)
def test_duplicates(body: bytes, found: list[str]) -> None:
    assert untyped(gosyntax.read(body))[1] == found
    assert has_duplicates(body) >= bool(found)


def test_duplicates_are_found_in_linear_time() -> None:
    """The fault: each name was looked for among all before it, so that a body of a megabyte took seconds. Many names of which
    one is there twice, one name many times, and many objects of which each has one twice."""
    many = ",".join(f'"k{n}":1' for n in range(200_000))
    for text, count in (
        (f'{{{many},"k0":2}}', 1),
        ("{" + ",".join(['"a":1'] * 200_000) + "}", 1),
        ("[" + ",".join(['{"a":1,"a":2}'] * 50_000) + "]", 50_000),
    ):
        body = text.encode()
        start = time.process_time()
        assert has_duplicates(body)
        assert len(untyped(gosyntax.read(body))[1]) == min(count, 100)
        assert time.process_time() - start < 5.0  # it was minutes


def test_duplicate_fields_are_refused_or_warned_of() -> None:
    body = b'{"spec":{"nodeName":"a","nodeName":"b","x":1,"containers":[]}}'
    problems = ['duplicate field "spec.nodeName"', 'unknown field "spec.x"']  # in the order of the document
    obj, warnings = compiled(POD).decode(body, "Warn")
    assert (obj["spec"]["nodeName"], warnings) == ("b", problems)
    with pytest.raises(StatusError, match="strict decoding error: " + ", ".join(problems)):
        compiled(POD).decode(body, "Strict")
    assert compiled(POD).decode(body, "Ignore")[1] == []
