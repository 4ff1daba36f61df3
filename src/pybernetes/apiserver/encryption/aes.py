"""AES: GCM and CBC with a key of the configuration, GCM with keys derived from a seed (upstream: apiserver/pkg/storage/value/encrypt/aes)."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from pybernetes.store.transformed import Plain, Unreadable

from .transformers import TOO_SHORT

NONCE, BLOCK, KEY = 12, 16, 32  # bytes; none of them can change without losing what is stored
INFO = SEED = KEY


class GCM:
    """A random nonce, the ciphertext, the tag; bound to where it lies. A key is to be changed before 2**32 writes: nonces are random."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """See `Cipher`."""
        nonce = os.urandom(NONCE)
        return nonce + self._aead.encrypt(nonce, value, data)

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """See `Cipher`."""
        if len(stored) < NONCE:
            raise Unreadable(TOO_SHORT)
        try:
            return Plain(self._aead.decrypt(stored[:NONCE], stored[NONCE:], data))
        except InvalidTag:
            raise Unreadable("cipher: message authentication failed") from None


class CBC:
    """A random initialization vector, then the value padded (PKCS #7). Nothing says whose it is, or that it was not changed."""

    def __init__(self, key: bytes) -> None:
        self._cipher = algorithms.AES(key)

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """See `Cipher`."""
        start, padding = os.urandom(BLOCK), BLOCK - len(value) % BLOCK
        encryptor = Cipher(self._cipher, modes.CBC(start)).encryptor()
        return start + encryptor.update(value + bytes([padding]) * padding) + encryptor.finalize()

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """See `Cipher`."""
        if len(stored) < BLOCK:
            raise Unreadable(TOO_SHORT)
        if len(stored) % BLOCK:
            raise Unreadable("the stored data is not a multiple of the block size")
        decryptor = Cipher(self._cipher, modes.CBC(stored[:BLOCK])).decryptor()
        padded = decryptor.update(stored[BLOCK:]) + decryptor.finalize()
        padding = padded[-1] if padded else 0
        if padding == 0 or padding > len(padded):
            raise Unreadable("invalid PKCS7 data (empty or not padded)")
        if padded[-padding:] != bytes([padding]) * padding:
            raise Unreadable("invalid padding on input")
        return Plain(padded[:-padding])


class SeededGCM:
    """A key for each value, derived from a seed and from random bytes that go in front of it: no number of writes wears it out."""

    def __init__(self, seed: bytes) -> None:
        """Unreadable for a seed that is too short."""
        if len(seed) < SEED:
            raise Unreadable(f"invalid seed length {len(seed)} used for key generation")
        self._seed = seed

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """See `Cipher`."""
        info = os.urandom(INFO)
        return info + await self._derived(info).seal(value, data)

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """See `Cipher`."""
        if len(stored) < INFO:
            raise Unreadable(TOO_SHORT)
        return await self._derived(stored[:INFO]).open(stored[INFO:], data)

    def _derived(self, info: bytes) -> GCM:
        return GCM(HKDFExpand(SHA256(), KEY, info).derive(self._seed))
