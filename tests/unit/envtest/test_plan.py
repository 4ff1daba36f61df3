"""What becomes of envtest's command lines."""

import pytest

from pybernetes.component.flags import FlagError
from pybernetes.envtest import plan
from pybernetes.envtest.plan import Insecure


@pytest.mark.parametrize(
    ("arguments", "insecure", "others"),
    [
        (["--secure-port=1"], None, ["--secure-port=1"]),
        (["--insecure-port=0", "--secure-port=1"], None, ["--secure-port=1"]),
        (["--insecure-port=", "", "--v=1"], "invalid argument", []),
        (["--insecure-port=8080", "--v=1"], Insecure("127.0.0.1", 8080), ["--v=1"]),
        (["--v=1", "--insecure-port", "8080", "--insecure-bind-address", "::1"], Insecure("::1", 8080), ["--v=1"]),
        (["--insecure-port=70000"], "want 0 to 65535", []),
        (["--insecure-port"], "needs an argument", []),
    ],
)
def test_the_port_without_tls(arguments: list[str], insecure: Insecure | str | None, others: list[str]) -> None:
    if isinstance(insecure, str):
        with pytest.raises(FlagError, match=insecure):
            plan.insecure(arguments)
    else:
        assert plan.insecure(arguments) == (insecure, others)


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        (["--etcd-servers=http://127.0.0.1:2379"], "http://127.0.0.1:2379"),
        (["--etcd-servers=http://a:1,http://b:1"], None),
        (["--etcd-servers=http://a:1", "--etcd-servers=http://b:1"], None),
        (["--v=1"], None),
    ],
)
def test_one_server_alone_may_be_the_stand_in(arguments: list[str], url: str | None) -> None:
    assert plan.etcd_server(arguments) == url


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--etcd-servers", "http://a:1", "--v", "1"], ["--etcd-servers=http://a:1", "--v", "1"]),
        (
            ["--token-auth-file", "/t", "--etcd-servers=http://a:1"],
            ["--token-auth-file=/t", "--etcd-servers=http://a:1"],
        ),
        (["--v=1", "--etcd-servers"], ["--v=1", "--etcd-servers"]),
    ],
)
def test_a_flag_and_its_value_may_be_two_words(arguments: list[str], words: list[str]) -> None:
    assert plan.joined(arguments) == words


def test_the_store_takes_the_place_of_etcd() -> None:
    assert plan.with_store(["--etcd-servers=http://a:1", "--v=1"], "sqlite:/x") == ["--store=sqlite:/x", "--v=1"]


def test_a_second_token_file_is_refused() -> None:
    assert plan.with_token(["--v=1"], "/t") == ["--v=1", "--token-auth-file=/t"]
    with pytest.raises(FlagError, match="want one of them"):
        plan.with_token(["--token-auth-file=/mine"], "/t")
