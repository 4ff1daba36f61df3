"""The sandbox's image: a static program that waits, reaps and ends when told (upstream: build/pause/linux/pause.c).

The ELF file is put together here from machine code, so that a sandbox needs no registry. As PID 1 the default action of a
signal does nothing; blocked signals are queued all the same, and are taken by rt_sigtimedwait.
"""

from __future__ import annotations

import platform
import struct

from pybernetes import __version__

from .archive import ImageConfig, image_archive
from .types import RuntimeFailure

IMAGE = f"pybernetes/pause:{__version__}"
USER = "65535:65535"  # as upstream's image: nobody, so that a shared process namespace gives no rights away
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_ADDRESS = 0x400000
ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES = 64, 56
EM_X86_64 = 62

# SIGINT, SIGTERM and SIGCHLD as bits of a signal set; the kernel's set has 8 bytes.
WAITED = 1 << (2 - 1) | 1 << (15 - 1) | 1 << (17 - 1)

_BLOCK = (
    b"\x68" + struct.pack("<I", WAITED),  # push WAITED
    b"\x48\x89\xe6",  # mov rsi, rsp
    b"\x31\xff",  # xor edi, edi            SIG_BLOCK
    b"\x31\xd2",  # xor edx, edx
    b"\x6a\x08\x41\x5a",  # push 8; pop r10
    b"\x6a\x0e\x58",  # push 14; pop rax    rt_sigprocmask
    b"\x0f\x05",  # syscall
)
_WAIT = (
    b"\x48\x89\xe7",  # mov rdi, rsp
    b"\x31\xf6",  # xor esi, esi
    b"\x31\xd2",  # xor edx, edx            no time limit
    b"\x6a\x08\x41\x5a",  # push 8; pop r10
    b"\xb8\x80\x00\x00\x00",  # mov eax, 128  rt_sigtimedwait
    b"\x0f\x05",  # syscall
    b"\x83\xf8\xfc",  # cmp eax, -4         EINTR: once more
)
_REAP = (
    b"\x6a\xff\x5f",  # push -1; pop rdi    any child
    b"\x31\xf6",  # xor esi, esi
    b"\x6a\x01\x5a",  # push 1; pop rdx     WNOHANG
    b"\x45\x31\xd2",  # xor r10d, r10d
    b"\x6a\x3d\x58",  # push 61; pop rax    wait4
    b"\x0f\x05",  # syscall
    b"\x85\xc0",  # test eax, eax
)
_EXIT = (
    b"\x31\xff",  # xor edi, edi
    b"\x6a\x3c\x58",  # push 60; pop rax    exit
    b"\x0f\x05",  # syscall
)
_JUMP_BYTES = 2
_COMPARE_SIGCHLD = b"\x83\xf8\x11"  # cmp eax, 17


def _jump(opcode: int, here: int, there: int) -> bytes:
    """A short jump that begins at `here`."""
    return bytes((opcode,)) + struct.pack("b", there - here - _JUMP_BYTES)


def machine_code() -> bytes:
    """The program for x86-64: wait for a signal; SIGCHLD reaps, every other one ends it."""
    block, wait, reap = b"".join(_BLOCK), b"".join(_WAIT), b"".join(_REAP)
    wait_at = len(block)
    retry_at = wait_at + len(wait)
    leave_at = retry_at + _JUMP_BYTES + len(_COMPARE_SIGCHLD)
    reap_at = leave_at + _JUMP_BYTES
    again_at = reap_at + len(reap)
    exit_at = again_at + 2 * _JUMP_BYTES
    code = block + wait
    code += _jump(0x74, retry_at, wait_at) + _COMPARE_SIGCHLD  # je
    code += _jump(0x75, leave_at, exit_at) + reap  # jne
    code += _jump(0x7F, again_at, reap_at)  # jg: a child was reaped, perhaps there are more
    code += _jump(0xEB, again_at + _JUMP_BYTES, wait_at)  # jmp
    return code + b"".join(_EXIT)


def program() -> bytes:
    """The ELF file. RuntimeFailure on an architecture that it is not written for."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise RuntimeFailure(
            f"there is no sandbox program for {platform.machine()!r}: give --pod-infra-container-image"
        )
    code = machine_code()
    headers = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES
    entry, size = BASE_ADDRESS + headers, headers + len(code)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf += struct.pack("<HHIQQQIHHHHHH", 2, EM_X86_64, 1, entry, ELF_HEADER_BYTES, 0, 0, 64, 56, 1, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 5, 0, BASE_ADDRESS, BASE_ADDRESS, size, size, 0x1000)
    return elf + code


def archive() -> bytes:
    """The image as `docker load` takes it; the same bytes at every call."""
    config = ImageConfig(entrypoint=("/pause",), env=(PATH,), user=USER)
    return image_archive(IMAGE, config, {"pause": program()})
