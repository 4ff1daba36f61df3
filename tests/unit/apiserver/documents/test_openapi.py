"""OpenAPI documents: the two forms of v2, and v3 with hashes."""

from typing import Any

import msgspec
import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.documents import gnostic, openapi
from pybernetes.apiserver.documents.openapi import OpenAPI
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.wire.http import Request, Response

SERVED = [r for r in RESOURCES if r.name in ("configmaps", "pods")]
OLD = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def get(path: str, query: str = "", **headers: str) -> Response:
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    found = OpenAPI(SERVED).answer(path, Request("GET", path.encode(), query.encode(), given))
    assert found is not None
    return found


def fields(data: bytes) -> dict[int, list[bytes]]:
    """Length-delimited and varint fields of a message; a reader of its own, so that the writer is not its own judge."""
    found: dict[int, list[bytes]] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        tag = varint()
        if tag & 7 == 0:
            found.setdefault(tag >> 3, []).append(str(varint()).encode())
            continue
        assert tag & 7 == 2
        size = varint()
        found.setdefault(tag >> 3, []).append(data[place : place + size])
        place += size
    return found


def named(message: bytes, number: int) -> dict[str, bytes]:
    pairs = [fields(item) for item in fields(message).get(number, [])]
    return {pair[1][0].decode(): pair[2][0] for pair in pairs}


def test_protobuf_has_what_kubectl_reads() -> None:
    answer = get("/openapi/v2", accept=OLD)
    assert dict(answer.headers)["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    document = fields(answer.body)
    assert document[1] == [b"2.0"]
    definitions = named(document[9][0], 1)
    config_map = fields(definitions["io.k8s.api.core.v1.ConfigMap"])
    kind = named(definitions["io.k8s.api.core.v1.ConfigMap"], 31)["x-kubernetes-group-version-kind"]
    assert msgspec.json.decode(fields(kind)[2][0]) == [{"group": "", "kind": "ConfigMap", "version": "v1"}]
    assert fields(config_map[22][0]) == {1: [b"object"]}
    data = named(config_map[25][0], 1)["data"]
    assert fields(fields(fields(data)[21][0])[1][0])[22]  # additionalProperties > schema > type
    containers = fields(named(fields(definitions["io.k8s.api.core.v1.PodSpec"])[25][0], 1)["containers"])
    assert fields(fields(containers[23][0])[1][0])[1] == [b"#/definitions/io.k8s.api.core.v1.Container"]
    quantity = fields(definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"])
    assert fields(quantity[22][0]) == {1: [b"string"]}
    paths = named(document[8][0], 2)
    patch = fields(fields(paths["/api/v1/namespaces/{namespace}/pods/{name}"])[8][0])
    given = [fields(item) for item in patch[8]]
    query = [
        fields(fields(fields(item[1][0])[2][0])[3][0])[4][0] for item in given if 1 in item and 2 in fields(item[1][0])
    ]
    assert query == [b"dryRun", b"fieldValidation"]
    [shared] = [fields(item[2][0])[1][0].decode() for item in given if b"#/parameters/force-" in item.get(2, [b""])[0]]
    force = fields(fields(named(document[10][0], 1)[shared.rpartition("/")[2]])[2][0])
    assert fields(force[3][0])[6] == [b"boolean"]
    answer = fields(fields(named(patch[9][0], 1)["200"])[1][0])
    assert fields(fields(answer[2][0])[1][0])[1] == [b"#/definitions/io.k8s.api.core.v1.Pod"]


def test_no_keyword_is_lost_in_protobuf() -> None:
    assert gnostic.unknown(OpenAPI(RESOURCES).v2_document()) == set()


@pytest.mark.parametrize(
    ("accept", "media"),
    [("application/json", openapi.JSON), ("*/*", openapi.JSON), (f"text/x, {OLD}", openapi.PROTOBUF)],
)
def test_negotiation(accept: str, media: str) -> None:
    assert dict(get("/openapi/v2", accept=accept).headers)["Content-Type"] == media


def test_other_media_types_are_refused() -> None:
    with pytest.raises(StatusError) as error:
        get("/openapi/v2", accept="text/html")
    assert error.value.code == 406


@pytest.mark.parametrize("accept", [openapi.JSON, OLD])
def test_unchanged(accept: str) -> None:
    etag = dict(get("/openapi/v2", accept=accept).headers)["ETag"]
    assert get("/openapi/v2", accept=accept, if_none_match=etag).status == 304


def test_v3_hashes() -> None:
    index: dict[str, Any] = msgspec.json.decode(get("/openapi/v3").body)
    path, _, query = index["paths"]["api/v1"]["serverRelativeURL"].partition("?")
    fresh = get(path, query)
    assert fresh.status == 200
    assert dict(fresh.headers)["Cache-Control"] == "public, immutable"
    moved = get(path, "hash=OLD")
    assert (moved.status, dict(moved.headers)["Location"]) == (301, f"{path}?{query}")
    assert get(path).status == 200
