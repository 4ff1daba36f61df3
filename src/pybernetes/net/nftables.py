"""Runs nft, and asks the kernel how often its tables have changed (upstream: sigs.k8s.io/knftables)."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from . import nftmessages
from .programs import ProgramError, run, run_to_file

OLDEST_NFT = (1, 0, 1)  # older ones read all tables at each start, and break on what newer ones have put there
OLDEST_KERNEL = (5, 13)

_NETLINK_NETFILTER = 12
_SO_SNDBUFFORCE = 32
_ANSWER_SECONDS = 60.0  # the kernel answers when it is done, before `send` is; this is for the case that it does not
_GETGEN = 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
_REQUEST = 1
_GEN_ID = 1  # NFTA_GEN_ID
_ERROR = 2  # NLMSG_ERROR


class NFTables:
    """One table of one family; family is IPv4 or IPv6."""

    def __init__(self, family: str, table: str) -> None:
        self._table = f"{'ip6' if family == 'IPv6' else 'ip'} {table}"
        self._family = family

    @property
    def present(self) -> bool:
        """Whether the program is installed, and the kernel has the family."""
        has_family = self._family == "IPv4" or Path("/proc/sys/net/ipv6").exists()
        return has_family and shutil.which("nft") is not None

    async def listing(self, containers: Sequence[str]) -> IO[str] | None:
        """What nft prints of the table without elements, and of these maps and sets with theirs; None where there is no table. ProgramError.

        Elements of other sets are left out: who sends packets decides how many there are.
        """
        try:
            output = await run_to_file(["nft", "--terse", "list", "table", *self._table.split()])
        except ProgramError as error:
            if os.strerror(errno.ENOENT) in str(error):
                return None
            raise
        try:
            present = {line.split()[1] for line in output if line.startswith(("\tmap ", "\tset "))}
            output.seek(0, os.SEEK_END)
            for kind, name in map(str.split, containers):
                if name in present:  # one by one: nft 1.0.6 looks up those of its last command only
                    with await run_to_file(["nft", "list", kind, *self._table.split(), name]) as elements:
                        output.writelines(elements)
            output.seek(0)
        except BaseException:
            output.close()
            raise
        return output

    async def apply(self, lines: Iterable[str]) -> None:
        """All of the commands, or none. ProgramError."""
        await run(["nft", "-f", "-"], lines)

    def send(self, commands: Iterable[str]) -> None:
        """All of the commands, or none, without the program: such as `nftmessages` knows. OSError with the command that was refused."""
        items = list(nftmessages.messages(commands, self._table))
        if not items:
            return
        data = nftmessages.batch([message for _, message in items], self._table)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as connection:
            connection.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, len(data) + 65536)
            connection.settimeout(_ANSWER_SECONDS)
            connection.send(data)
            for sequence, number in nftmessages.results(connection.recv(1 << 16)):
                if number:
                    command = items[sequence - 1][0] if 0 < sequence <= len(items) else "the transaction"
                    raise OSError(number, f"nftables: {os.strerror(number)}: {command}")

    async def delete(self) -> None:
        """The table is gone. ProgramError."""
        try:
            await run(["nft", "delete", "table", *self._table.split()])
        except ProgramError as error:
            if os.strerror(errno.ENOENT) not in str(error):
                raise


def generation() -> int:
    """A number that is one higher after each transaction of whomever, of any table of this network namespace. OSError.

    Where it is what it was, nobody has touched anything (the kernel's NFT_MSG_GETGEN).
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as connection:
        connection.settimeout(1.0)
        body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
        connection.send(struct.pack("=IHHII", 16 + len(body), _GETGEN, _REQUEST, 1, 0) + body)
        return parse_generation(connection.recv(4096))


def parse_generation(message: bytes) -> int:
    """Of the answer to NFT_MSG_GETGEN. OSError for another one."""
    if len(message) < 20 or struct.unpack_from("=H", message, 4)[0] == _ERROR:
        number = -struct.unpack_from("=i", message, 16)[0] if len(message) >= 20 else errno.EPROTO
        raise OSError(number, f"asking nftables for its generation: {os.strerror(number)}")
    position = 20
    while position + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, position)
        if kind == _GEN_ID and length >= 8 and position + 8 <= len(message):
            value: int = struct.unpack_from(">I", message, position + 4)[0]
            return value
        if length < 4:
            break
        position += (length + 3) & ~3
    raise OSError(errno.EPROTO, "asking nftables for its generation: no number in the answer")


async def version() -> tuple[int, ...]:
    """(1, 0, 6) of the program. ProgramError."""
    words = (await run(["nft", "--version"])).split()
    word = next((w for w in words if w.startswith("v") and w[1:2].isdigit()), "v0")
    return tuple(int(part) for part in word[1:].split(".") if part.isdigit())


def kernel_version() -> tuple[int, ...]:
    """(6, 1) of this machine's kernel."""
    parts = os.uname().release.split(".")[:2]
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in parts)
