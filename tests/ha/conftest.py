"""Skips this folder where it cannot run; one cluster for all of it, with load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import lan, unable

from . import cluster, load
from .cluster import ADDRESSES, PROGRAMS, Cluster
from .load import Load

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = unable(PROGRAMS)
    for item in items:
        if reason and HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", name="cluster")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """It works, and serves."""
    with lan(tmp_path_factory.mktemp("ha"), ADDRESSES) as hosts:
        made = cluster.build(hosts)
        cluster.serve(made)
        yield made


@pytest.fixture(scope="session", name="load")
def loaded(cluster: Cluster) -> Iterator[Load]:
    """Begun once, and kept up."""
    with load.running(load.prepared(cluster)) as begun:
        yield begun
