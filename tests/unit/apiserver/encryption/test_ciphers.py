"""The ciphers: what upstream's implementation has sealed is opened, what is changed is refused."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.apiserver.encryption.aes import CBC, GCM, SeededGCM
from pybernetes.apiserver.encryption.secretbox import Secretbox
from pybernetes.apiserver.encryption.transformers import Cipher, Identity
from pybernetes.store.transformed import Plain, Unreadable

# Values that the Go implementation has sealed: data of upstream's own tests (encrypt/aes/aes_test.go), and
# NaCl's (tests/secretbox.c).
PANDAS, BAMBOO = b"pandas are the best", b"bamboo"
GCM_KEY = b"snorlax_awesomes"
GCM_SEALED = bytes.fromhex(
    "9f27c8fcea8a58c467d8e437dbf2d85955f9b4bd912f4ef967d788a0cb07797dac0a3f0a0845605ca85ac8562b4ae1"
)
SEED = bytes.fromhex("5d40323a820ff95561675e3b95e81867c5fdd561d35a88a2d08b08aa9d4fcf5c")
SEEDED = bytes.fromhex(
    "2442759e33945fbad709db577a0f037fd8a709fc76979b8942209debcecb9d57efe3d6ff6a1ef6ee9a5003b983"
    "3b3043cec1e47b35175b151107a8d2416b0e296bbf66b5d102fcefdf9a78f293d271"
)
BOX_KEY = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
BOX_NONCE = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
BOX_TEXT = bytes.fromhex(
    "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4"
    "1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52"
    "f0a089bc76897040e082f937763848645e0705"
)
BOX_SEALED = bytes.fromhex(
    "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b"
    "4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da"
    "99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5"
)


def opened(cipher: Cipher, stored: bytes, data: bytes = BAMBOO) -> bytes:
    return asyncio.run(cipher.open(stored, data)).value


def test_what_upstream_has_sealed() -> None:
    assert opened(GCM(GCM_KEY), GCM_SEALED) == PANDAS
    assert opened(SeededGCM(SEED), SEEDED) == PANDAS
    assert opened(Secretbox(BOX_KEY), BOX_NONCE + BOX_SEALED) == BOX_TEXT


CIPHERS: list[Cipher] = [
    *(GCM(b"k" * 16), GCM(b"k" * 32), CBC(b"k" * 16), CBC(b"k" * 24), SeededGCM(b"k" * 32), Secretbox(b"k" * 32))
]


@pytest.mark.parametrize("cipher", CIPHERS)
def test_there_and_back(cipher: Cipher) -> None:
    async def scenario() -> None:
        for size in (1, 15, 16, 17, 1000):
            value = bytes(range(256))[:size] or b"a"
            sealed = [await cipher.seal(value, b"key") for _ in range(2)]
            assert sealed[0] != sealed[1] and all(value not in one for one in sealed if size > 2)
            assert [await cipher.open(one, b"key") for one in sealed] == [Plain(value)] * 2

    asyncio.run(scenario())


@pytest.mark.parametrize("cipher", [GCM(b"k" * 32), SeededGCM(b"k" * 32)])
def test_what_authenticates_is_bound_to_its_place(cipher: Cipher) -> None:
    async def scenario() -> None:
        sealed = await cipher.seal(b"value", b"/registry/secrets/a/s")
        for stored, data in (
            (sealed, b"/registry/secrets/b/s"),
            (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"/registry/secrets/a/s"),
        ):
            with pytest.raises(Unreadable, match=r"^cipher: message authentication failed$"):
                await cipher.open(stored, data)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("cipher", "stored", "words"),
    [
        (GCM(b"k" * 16), b"short", "the stored data was shorter than the required size"),
        (CBC(b"k" * 16), b"short", "the stored data was shorter than the required size"),
        (CBC(b"k" * 16), b"a" * 17, "the stored data is not a multiple of the block size"),
        (CBC(b"k" * 16), b"a" * 16, "invalid PKCS7 data (empty or not padded)"),
        (SeededGCM(b"k" * 32), b"a" * 31, "the stored data was shorter than the required size"),
        (Secretbox(b"k" * 32), b"a" * 39, "the stored data was shorter than the required size"),
        (Secretbox(b"k" * 32), b"a" * 50, "output array was not large enough for encryption"),
        (Identity(), b"k8s:enc:aescbc:v1:a:", "identity transformer tried to read encrypted data"),
    ],
)
def test_refusals(cipher: Cipher, stored: bytes, words: str) -> None:
    with pytest.raises(Unreadable) as refused:
        opened(cipher, stored)
    assert str(refused.value) == words
