import re

from pybernetes.api import version


def test_the_build_has_the_forms_that_clients_check() -> None:
    assert re.fullmatch("[0-9a-f]{40}", version.commit()) and re.fullmatch(
        r"[-0-9]{10}T[:0-9]{8}Z", version.build_date()
    )
    assert re.fullmatch(r"v1\.\d+\.\d+\+pybernetes\.[0-9.]+", version.GIT_VERSION)


def test_an_archive_knows_its_commit() -> None:
    assert version.commit("0123456789abcdef0123456789abcdef01234567") == "0123456789abcdef0123456789abcdef01234567"
    assert version.build_date("2026-11-30T07:04:05+02:00") == "2026-11-30T05:04:05Z"
