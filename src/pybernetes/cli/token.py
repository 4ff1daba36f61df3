"""`pybernetes token create|list|delete|generate`: bootstrap tokens of any cluster (upstream: cmd/kubeadm/app/cmd/token.go)."""

from __future__ import annotations

import asyncio
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.api import bootstraptokens
from pybernetes.component import flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags

if TYPE_CHECKING:
    from pybernetes.api.types import core_v1
    from pybernetes.client.rest import RESTClient
    from pybernetes.deploy.types import BootstrapToken

PROGRAM = "pybernetes token"
TTL_SECONDS = 86400.0
CREATE_FLAGS = (
    deployflags.KUBECONFIG,
    deployflags.CONFIG,
    Flag("ttl", flags.duration, TTL_SECONDS, "The duration before the token is automatically deleted (e.g. 1s, 2m, 3h); 0: never."),
    Flag("usages", flags.strings, ["signing", "authentication"], "What the token may be used for, of signing and authentication."),
    Flag(
        "groups",
        flags.strings,
        ["system:bootstrappers:kubeadm:default-node-token"],
        f"Groups of who comes with it, beside system:bootstrappers. Must match {bootstraptokens.GROUP_PATTERN}.",
    ),
    Flag("description", flags.string, "", "A human friendly description of how this token is used."),
    Flag("print-join-command", flags.boolean, False, "Print the full 'pybernetes join' command, which is kubeadm's too, instead of the token alone."),
    Flag("certificate-key", flags.string, "", "With --print-join-command: of a control-plane host, with this key."),
)  # fmt: skip


def main(arguments: list[str]) -> int:
    return subcommands.main(PROGRAM, COMMANDS, arguments)


def generate(values: Values) -> None:
    """A token that nobody knows yet."""
    from pybernetes.deploy import tokens

    print(tokens.generate(secrets.choice))


def create(values: Values) -> None:
    """Puts it into the cluster. UsageError, Failure."""
    from pybernetes.deploy import tokens

    deployflags.unmixed(values)
    if values["certificate-key"] and not values["print-join-command"]:
        raise UsageError("cannot use --certificate-key without --print-join-command")
    given = _of_file(values) if values["config"] else [_of_flags(values)]
    kubeconfig = deployflags.kubeconfig_path(values)
    try:
        secrets = [tokens.secret(token, datetime.now(UTC)) for token in given]
    except ValueError as error:
        raise UsageError(str(error)) from error

    async def work(client: RESTClient) -> None:
        for secret in secrets:
            await _create(client, secret)

    asyncio.run(deployflags.asked(kubeconfig, work))
    first = given[0].token
    print(_join_command(kubeconfig, first, values["certificate-key"]) if values["print-join-command"] else first)


def list_tokens(values: Values) -> None:
    """Those whose Secrets can be read; what is wrong with the others goes to stderr."""
    from pybernetes.api.types import core_v1
    from pybernetes.api.wellknown import SECRET_TYPE_BOOTSTRAP_TOKEN
    from pybernetes.deploy import tables, tokens

    form = deployflags.output_format(values)

    async def work(client: RESTClient) -> list[core_v1.Secret]:
        selector = f"type={SECRET_TYPE_BOOTSTRAP_TOKEN}"
        return list((await client.list(core_v1.Secret, bootstraptokens.NAMESPACE, field_selector=selector)).items)

    shown, now = 0, datetime.now(UTC)
    for secret in asyncio.run(deployflags.asked(deployflags.kubeconfig_path(values), work)):
        try:
            token = tokens.of_secret(secret)
        except tokens.TokenError as error:
            print(error, file=sys.stderr)
            continue
        if form == "text":
            lines = tables.table([tokens.COLUMNS, tokens.row(token, now)])
            print(lines if shown == 0 else lines.partition("\n")[2], end="")
        else:
            print(tables.document("BootstrapToken", tokens.output(token), form, shown == 0), end="")
        shown += 1


def delete(values: Values) -> None:
    """By token or id, one after the other."""
    from pybernetes.api.errors import StatusError
    from pybernetes.api.types import core_v1
    from pybernetes.deploy import tokens

    if not values.arguments:
        forms = (bootstraptokens.TOKEN_PATTERN, bootstraptokens.ID_PATTERN)
        text = "missing argument; 'token delete' is missing token of form {} or {}"
        raise UsageError(text.format(*(f'"{tokens.escaped(form)}"' for form in forms)))
    try:
        ids = [tokens.named(word) for word in values.arguments]
    except tokens.TokenError as error:
        raise UsageError(str(error)) from error

    async def work(client: RESTClient) -> None:
        for token_id in ids:
            try:
                await client.delete(core_v1.Secret, bootstraptokens.secret_name(token_id), bootstraptokens.NAMESPACE)
            except StatusError as error:
                raise Failure(f'failed to delete bootstrap token "{token_id}": {error}') from error
            print(f'bootstrap token "{token_id}" deleted')

    asyncio.run(deployflags.asked(deployflags.kubeconfig_path(values), work))


async def _create(client: RESTClient, secret: core_v1.Secret) -> None:
    from pybernetes.api.errors import StatusError

    try:
        await client.create(secret)
    except StatusError as error:
        token_id = secret.metadata.name.removeprefix(bootstraptokens.secret_name(""))
        if error.reason == "AlreadyExists":
            raise Failure(f'a token with id "{token_id}" already exists') from error
        text = f"failed to create or update bootstrap token with name {secret.metadata.name}"
        raise Failure(f"{text}: {error}") from error


def _of_flags(values: Values) -> BootstrapToken:
    from pybernetes.api.durations import format_duration
    from pybernetes.api.field import aggregate
    from pybernetes.deploy import tokens, types, validation

    text = values.arguments[0] if values.arguments else tokens.generate(secrets.choice)
    try:
        tokens.parsed(text)
    except tokens.TokenError as error:
        raise UsageError(str(error)) from error
    token = types.BootstrapToken(
        token=text,
        description=values["description"],
        ttl=format_duration(values["ttl"]),
        usages=values["usages"],
        groups=values["groups"],
    )
    if problems := validation.tokens([token]):
        raise UsageError(aggregate(problems))
    return token


def _of_file(values: Values) -> list[BootstrapToken]:
    import msgspec

    from pybernetes.deploy import tokens, types
    from pybernetes.deploy.configuration import token_defaults

    if values.arguments:
        raise UsageError("can not mix '--config' with arguments [token]")
    given = deployflags.configuration(values).init.bootstrap_tokens or [token_defaults(types.BootstrapToken())]
    return [
        token if token.token else msgspec.structs.replace(token, token=tokens.generate(secrets.choice))
        for token in given
    ]


def _join_command(kubeconfig: Path, token: str, certificate_key: str) -> str:
    from pybernetes.client.kubeconfig import ConfigError, load
    from pybernetes.deploy import endpoints, tokens
    from pybernetes.pki.bundles import blocks
    from pybernetes.pki.certificates import public_key_pin

    try:
        config = load(kubeconfig)
        authorities = config.ca_file.read_bytes() if config.ca_file is not None else config.ca_data
        if not authorities:
            raise Failure("failed to get join command: no CA certificates found in kubeconfig")
        pins = [public_key_pin(block) for block in blocks(authorities) if b"BEGIN CERTIFICATE" in block]
        server = config.server
        beside = kubeconfig.with_name("controller-manager.conf")
        # A balancer on each node, which who joins has not yet: this host's own API server, where there is one.
        if endpoints.is_loopback(server) and beside.exists():
            server = load(beside).server
    except (ConfigError, OSError, ValueError) as error:
        raise Failure(f"failed to get join command: {error}") from error
    return tokens.join_command(server, token, pins, certificate_key)


COMMANDS = Group(
    "Manages bootstrap tokens, by which nodes join a cluster and know it.",
    {
        "create": Subcommand("Create bootstrap tokens on the server", CREATE_FLAGS, create, "[token]"),
        "delete": Subcommand("Delete bootstrap tokens on the server", (deployflags.KUBECONFIG,), delete, "[token-value] ..."),
        "generate": Subcommand("Generate and print a bootstrap token, but do not create it on the server", (), generate),
        "list": Subcommand("List bootstrap tokens on the server", (deployflags.KUBECONFIG, deployflags.OUTPUT), list_tokens),
    },
)  # fmt: skip
