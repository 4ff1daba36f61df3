from pybernetes.net.addresses import outward_address, source_address


def test_an_outward_address_is_no_loopback() -> None:
    assert not outward_address().startswith("127.") and outward_address(6) != "::1"


def test_a_source_address_is_of_the_route() -> None:
    assert source_address("127.0.0.1") == "127.0.0.1"
