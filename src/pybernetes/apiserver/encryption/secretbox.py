"""XSalsa20 and Poly1305, NaCl's secretbox (upstream: apiserver/pkg/storage/value/encrypt/secretbox).

`cryptography` has no Salsa20, and a stream cipher of one's own in Python would be neither quick nor constant in time: libsodium does it, by PyNaCl.
"""

from __future__ import annotations

from pybernetes.store.transformed import Plain, Unreadable

from ..configdocument import DocumentError
from .transformers import TOO_SHORT

NONCE, OVERHEAD = 24, 16


class Secretbox:
    """A random nonce, the tag, the ciphertext. Nothing says where it belongs."""

    def __init__(self, key: bytes) -> None:
        """DocumentError where the package is missing."""
        try:
            from nacl.exceptions import CryptoError
            from nacl.secret import SecretBox
        except ModuleNotFoundError as error:
            text = "the package PyNaCl is needed for secretbox: pip install 'pybernetes[secretbox]'"
            raise DocumentError(text) from error
        self._box, self._failed = SecretBox(key), CryptoError

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """See `Cipher`."""
        return bytes(self._box.encrypt(value))

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """See `Cipher`."""
        if len(stored) < NONCE + OVERHEAD:
            raise Unreadable(TOO_SHORT)
        try:
            return Plain(self._box.decrypt(stored))
        except self._failed:
            raise Unreadable("output array was not large enough for encryption") from None  # upstream's words
