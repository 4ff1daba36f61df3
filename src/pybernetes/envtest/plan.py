"""What envtest's command line of kube-apiserver becomes here (upstream: controller-runtime's controlplane/apiserver.go). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.wellknown import SYSTEM_PRIVILEGED_GROUP
from pybernetes.component import flags
from pybernetes.component.flags import Flag, FlagError

# Until Kubernetes 1.19 the server had a port on which everybody was this user, and controller-runtime until 0.8 uses it.
UNSECURED = "system:unsecured"
INSECURE = (
    Flag("insecure-port", flags.integer, 0, "A port without TLS and credentials, as upstream's until 1.19; 0: none."),
    Flag("insecure-bind-address", flags.string, "127.0.0.1", "The address of --insecure-port."),
)
ETCD_SERVERS, TOKEN_FILE = "--etcd-servers=", "--token-auth-file="


@dataclass(frozen=True, slots=True)
class Insecure:
    """Where requests come without credentials."""

    host: str
    port: int


def insecure(arguments: Sequence[str]) -> tuple[Insecure | None, list[str]]:
    """(the port without TLS, all other arguments). FlagError. Empty arguments are templates of old releases that gave nothing."""
    names = {f"--{flag.name}" for flag in INSECURE}
    own, others, rest = list[str](), list[str](), [one for one in arguments if one]
    while rest:
        argument = rest.pop(0)
        name, equals, _ = argument.partition("=")
        (own if name in names else others).append(argument)
        if name in names and not equals and rest:
            own.append(rest.pop(0))
    values = flags.parse("kube-apiserver", INSECURE, own)
    port = values["insecure-port"]
    if not 0 <= port <= 65535:
        raise FlagError(f"--insecure-port={port}: want 0 to 65535")
    return (Insecure(values["insecure-bind-address"], port) if port else None), others


def joined(arguments: Sequence[str]) -> list[str]:
    """With `--etcd-servers URL` as one word, as controller-runtime writes it; fabric8's kube-api-test writes two."""
    words, rest = list[str](), list(arguments)
    while rest:
        word = rest.pop(0)
        words.append(f"{word}={rest.pop(0)}" if f"{word}=" in (ETCD_SERVERS, TOKEN_FILE) and rest else word)
    return words


def etcd_server(arguments: Sequence[str]) -> str | None:
    """The URL of --etcd-servers where there is one alone; else the objects are in a real cluster."""
    given = [one.removeprefix(ETCD_SERVERS) for one in arguments if one.startswith(ETCD_SERVERS)]
    return given[0] if len(given) == 1 and "," not in given[0] else None


def with_store(arguments: Sequence[str], store: str) -> list[str]:
    """With the stand-in's store in place of its address."""
    return [f"--store={store}" if one.startswith(ETCD_SERVERS) else one for one in arguments]


def with_token(arguments: Sequence[str], file: str) -> list[str]:
    """Whose requests come in through the port without TLS logs in by this file. FlagError where there is another one."""
    if any(one.startswith(TOKEN_FILE) for one in arguments):
        raise FlagError("--token-auth-file and --insecure-port: want one of them")
    return [*arguments, f"{TOKEN_FILE}{file}"]


def token_file(token: str) -> str:
    """What is in that file."""
    return f"{token},{UNSECURED},,{SYSTEM_PRIVILEGED_GROUP}\n"
