"""The command line of the controller manager."""

from __future__ import annotations

from dataclasses import fields

import pytest

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.controllers.options import FLAGS, NAME, TABLE, Options, options_from

FROM_FILES = {
    "token_secrets",  # a gate of --feature-gates
    "controllers",
    "root_ca",
    "root_ca_file",
    "service_account_private_key",
    "cluster_signing_cert",
    "cluster_signing_key",
    "signers",
    "signer_files",
}


def parsed(*arguments: str) -> flags.Values:
    return flags.parse(NAME, FLAGS, arguments)


def test_every_plain_option_is_a_flag() -> None:
    assert {name for name, _, _ in TABLE} == {option.name for option in fields(Options)} - FROM_FILES


def test_without_flags_the_options_are_the_defaults() -> None:
    assert options_from(parsed()) == Options()


def test_numbers_and_times() -> None:
    options = options_from(parsed("--node-monitor-period=1m", "--node-eviction-rate=0.5", "--concurrent-gc-syncs=3"))
    assert (options.node_monitor_period, options.node_eviction_rate, options.concurrent_gc_syncs) == (60.0, 0.5, 3)


def test_what_does_nothing_says_so() -> None:
    given = parsed("--cluster-name=c", "--namespace-sync-period=5m0s", "--profiling=false", "--cluster-cidr=10.0.0.0/8")
    assert flags.warnings(FLAGS, given) == [
        "--profiling has no effect here",
        "--cluster-name has no effect here",
        "--namespace-sync-period has no effect here",
    ]


@pytest.mark.parametrize("argument", ["--controllers=none-such", "--root-ca-file=/nowhere"])
def test_mistakes_name_their_flag(argument: str) -> None:
    with pytest.raises(UsageError, match=argument.partition("=")[0]):
        options_from(parsed(argument))
