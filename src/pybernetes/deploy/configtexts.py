"""Configuration files as text: defaults to begin with, older versions in today's words, what is wrong with one; pure.

Upstream: cmd/kubeadm/app/util/config (DefaultedStaticInitConfiguration, MigrateOldConfig, ValidateConfig).
"""

from __future__ import annotations

from typing import Any

import msgspec

from . import configuration as c
from . import joinconfiguration as j
from . import types, validation

# What kubeadm's examples say: to be replaced by who uses them.
ADDRESS, NODE, TOKEN, SERVER = "1.2.3.4", "node", "abcdef.0123456789abcdef", "kube-apiserver:6443"
JOINS = tuple((f"{c.GROUP}/{version}", j.KIND) for version in c.FORMS)


def _text(kind: str, content: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump({**content, "apiVersion": f"{c.GROUP}/{c.NEWEST}", "kind": kind}))


def init_defaults() -> str:
    """An InitConfiguration and a ClusterConfiguration."""
    init = types.InitConfiguration(bootstrap_tokens=[types.BootstrapToken(token=TOKEN)])
    whole = c.defaulted(c.Configuration(init, types.ClusterConfiguration()), NODE, ADDRESS)
    return _texts(whole)


def join_defaults() -> str:
    """A JoinConfiguration."""
    by_token = j.BootstrapTokenDiscovery(token=TOKEN, api_server_endpoint=SERVER, unsafe_skip_ca_verification=True)
    given = j.JoinConfiguration(discovery=j.Discovery(bootstrap_token=by_token))
    return _text(j.KIND, msgspec.to_builtins(j.defaulted(given, NODE, ADDRESS)))


def _texts(whole: c.Configuration) -> str:
    return f"{_text(c.INIT, msgspec.to_builtins(whole.init))}---\n{c.text(whole.cluster)}"


def _joins(text: str) -> bool:
    return any(c.document(text, identity) is not None for identity in JOINS)


def _makes(text: str) -> bool:
    kinds = {(str(one.get("apiVersion")), str(one.get("kind"))) for one in c.documents(text)}
    return any(kind in (c.INIT, c.CLUSTER) for _, kind in kinds)


def migrated(text: str) -> str:
    """Its documents of kubeadm in today's version; those of others are left out, as kubeadm does. ConfigurationError."""
    if _joins(text):
        return _text(j.KIND, msgspec.to_builtins(j.defaulted(j.parse(text), NODE, ADDRESS)))
    given = c.parse(text).configuration
    return _texts(c.defaulted(given, NODE, ADDRESS))


def check(text: str) -> None:
    """ConfigurationError for what init or join would refuse in it, a host's own facts apart."""
    if _joins(text):
        j.check(j.defaulted(j.parse(text), NODE, ADDRESS))
    if _makes(text) or not _joins(text):
        validation.check(c.defaulted(c.parse(text).configuration, NODE, ADDRESS))
