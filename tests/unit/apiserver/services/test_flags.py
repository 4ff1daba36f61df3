"""The flags of Services, and where pods find the server."""

from typing import Any

import pytest

from pybernetes.apiserver.options import services
from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag

FLAGS = (Flag("bind-address", flags.string, "0.0.0.0", ""), *services.FLAGS)


def parsed(*arguments: str) -> Any:
    return services.options(flags.parse("kube-apiserver", FLAGS, list(arguments)))


def test_upstreams_defaults() -> None:
    options = parsed()
    assert [str(network) for network in options.networks] == ["10.0.0.0/24"]
    assert (options.ports.first, options.ports.last, options.advertise) == (30000, 32767, "")


def test_given() -> None:
    options = parsed("--service-cluster-ip-range=10.96.0.0/12,fd00::/112", "--advertise-address=192.0.2.7")
    assert [network.version for network in options.networks] == [4, 6]
    assert options.advertise == "192.0.2.7"
    assert parsed("--bind-address=192.0.2.8").advertise == "192.0.2.8"
    assert parsed("--bind-address=127.0.0.1").advertise == ""


@pytest.mark.parametrize(
    "argument",
    ["--service-cluster-ip-range=10.0.0.1/24", "--service-node-port-range=9-1", "--advertise-address=here"],
)
def test_refused(argument: str) -> None:
    with pytest.raises(UsageError, match=argument.split("=")[0]):
        parsed(argument)
