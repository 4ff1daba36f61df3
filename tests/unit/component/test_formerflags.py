"""Tables of flags that do nothing: a flag that a part has since got an effect stands in none."""

from __future__ import annotations

import pytest

from pybernetes.component import formerflags
from pybernetes.component.flags import Flag
from pybernetes.kubelet import options as kubelet
from pybernetes.proxy import options as proxy


@pytest.mark.parametrize(
    ("own", "table"),
    [(kubelet.OWN, formerflags.KUBELET), (proxy.OWN, formerflags.PROXY)],
    ids=["kubelet", "kube-proxy"],
)
def test_nothing_stands_in_two_places(own: tuple[Flag, ...], table: formerflags.Table) -> None:
    dead = {name for kinds in table.values() for names in kinds.values() for name in names.split()}
    assert sorted(dead & {flag.name for flag in own}) == []
