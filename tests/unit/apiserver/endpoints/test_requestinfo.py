"""What paths ask for."""

import pytest

from pybernetes.apiserver.endpoints.connect import handlers
from pybernetes.apiserver.endpoints.requestinfo import parse
from pybernetes.apiserver.query import Query
from pybernetes.wire.http import Request

NS = "/api/v1/namespaces/n"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (f"{NS}/pods/a", ("get", "pods", "a", "", "n")),
        (f"{NS}/pods/a%2Fb", ("get", "pods", "a", "b", "n")),
        (f"{NS}/pods/a%20b", ("get", "pods", "a b", "", "n")),
        (f"{NS}/pods%2Fa/log", ("get", "pods", "a", "log", "n")),
        ("/api/v1/namespaces/a%2Fpods", ("list", "pods", "", "", "a")),
        ("/apis%2Fapps/v1/deployments", ("list", "deployments", "", "", "")),
        (f"{NS}/pods/a%252Fb", ("get", "pods", "a%2Fb", "", "n")),
        (f"{NS}/services/s:80/proxy/x%2Fy/z", ("get", "services", "s:80", "proxy", "n")),
    ],
)
def test_slashes_are_slashes_however_they_are_written(path: str, asked: tuple[str, ...]) -> None:
    """Who may and what is answered is decided by one reading of the path, the one that Go has."""
    info = parse("GET", path, Query())
    assert (info.verb, info.resource, info.name, info.subresource, info.namespace) == asked


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        (f"{NS}/pods/a/proxy", ""),
        (f"{NS}/pods/a/proxy/", "/"),
        (f"{NS}/pods/a/proxy/x%2Fy?", "/x%2Fy?"),
        (f"{NS}/pods/proxy/proxy/z", "/z"),
        ("/api/v1/nodes/n/proxy/x/", "/x/"),
        (f"{NS}/pods%2Fa%2Fproxy%2Fx", "/x"),
    ],
)
def test_what_follows_the_proxy(path: str, rest: str) -> None:
    assert handlers._rest(Request("GET", path.encode(), b"", ()), parse("GET", path, Query())) == rest
