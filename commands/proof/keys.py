"""Ed25519 keys as JSON Web Keys (RFC 7517, RFC 8037). A key's id is its thumbprint (RFC 7638)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signalbox.commands.error import InvalidCommand, LocalFileError
from signalbox.commands.extra import require

if TYPE_CHECKING:
    from nacl.signing import SigningKey

MAX_FILE_BYTES = 1024 * 1024
"""Maximum size of a file of keys, in bytes."""
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])
"""What the last character may be, by the length of the text modulo four."""


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key."""

    raw: bytes
    """The key itself, 32 bytes."""

    @cached_property
    def kid(self) -> str:
        """The key's id: the thumbprint of RFC 7638, 43 characters."""
        text = json.dumps(self.jwk(), sort_keys=True, separators=(",", ":"))
        return encode(hashlib.sha256(text.encode()).digest())

    def jwk(self) -> dict[str, str]:
        """The key as a JSON Web Key, with no more than its required members."""
        return {"crv": "Ed25519", "kty": "OKP", "x": encode(self.raw)}

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """True if `signature` is this key's over `message`; about 0.1 ms of processor time.

        libsodium accepts no key or signature that holds for many messages (a point of small order).
        """
        verify, refusals = self._verifier
        try:
            verify(message, signature)
        except refusals:
            return False
        return True

    @property
    def valid(self) -> bool:
        """True if signatures can hold under it: it is a point of the curve, of the full order."""
        require("a signature", "proof", "nacl")
        from nacl.bindings import crypto_core_ed25519_is_valid_point

        return bool(crypto_core_ed25519_is_valid_point(self.raw))

    @cached_property
    def _verifier(self) -> tuple[Callable[[bytes, bytes], bytes], tuple[type[Exception], ...]]:
        """The function that verifies, and the errors by which it refuses."""
        require("a signature", "proof", "nacl")
        from nacl.exceptions import BadSignatureError
        from nacl.signing import VerifyKey

        return VerifyKey(self.raw).verify, (BadSignatureError, ValueError)


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """An Ed25519 private key. Its `repr` shows the id alone."""

    raw: bytes
    """The key's seed, 32 bytes."""

    @classmethod
    def new(cls) -> PrivateKey:
        """Generate a key."""
        return cls(os.urandom(32))

    @cached_property
    def public(self) -> PublicKey:
        """The public key that belongs to it."""
        return PublicKey(bytes(self._key.verify_key))

    @property
    def kid(self) -> str:
        """The id of the public key."""
        return self.public.kid

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, 64 bytes."""
        return self._key.sign(message)[:64]

    def save(self, path: Path) -> None:
        """Write the key to a new file that only its owner can read. Raises LocalFileError."""
        document = self.public.jwk() | {"d": encode(self.raw), "kid": self.kid}
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as target:
                target.write(json.dumps(document) + "\n")
        except OSError as error:
            raise LocalFileError(
                f"the key cannot be written to {path}: {error.strerror}",
                next_step="name a file that is not there yet, in a folder of yours",
            ) from None

    @cached_property
    def _key(self) -> SigningKey:
        require("a signature", "proof", "nacl")
        from nacl.signing import SigningKey

        return SigningKey(self.raw)

    def __repr__(self) -> str:
        return f"PrivateKey({self.kid})"


def load_private(path: Path) -> PrivateKey:
    """Read a private key, as `PrivateKey.save` or a secret manager wrote it.

    Raises LocalFileError and InvalidCommand, neither of which quotes the file. The file's
    permissions are not looked at, since containers mount secrets that all of them can read.
    """
    document = read_json(path)
    step = "make one with `signalbox key new`"
    try:
        key = PrivateKey(decode(str(document["d"]).encode()))
        public = public_of({name: value for name, value in document.items() if name != "d"})
    except (KeyError, ValueError):
        raise InvalidCommand(f"{path} holds no Ed25519 private key", next_step=step) from None
    if len(key.raw) != 32 or key.public != public:
        raise InvalidCommand(f"the parts of the key in {path} are of two keys", next_step=step)
    return key


def public_of(document: Any) -> PublicKey:
    """Read a public key from its JSON Web Key. Raises InvalidCommand, which does not quote it."""
    try:
        if "d" in document:
            raise InvalidCommand(
                "a private key stands where a public one belongs",
                next_step="replace the key: who read this file can sign; then show the public part "
                "of the new one with `signalbox key show`",
            )
        if (document["kty"], document["crv"]) != ("OKP", "Ed25519"):
            raise ValueError
        key = PublicKey(decode(document["x"].encode()))
        if len(key.raw) != 32 or document.get("kid", key.kid) != key.kid:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidCommand(
            "this is no public key that is known here",
            next_step='give a JSON Web Key of the form {"kty": "OKP", "crv": "Ed25519", "x": …}, '
            "whose `kid`, if it has one, is its thumbprint",
        ) from None
    return key


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object. Raises LocalFileError, which does not quote it.

    Links are followed, since secrets are often mounted as links. A name that stands twice in an
    object is refused: readers of the file may take the one, and this process the other.
    """
    try:
        document = json.loads(_content(path), object_pairs_hook=each_name_once)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        if isinstance(error, _Unusable):
            reason = str(error)
        raise LocalFileError(
            f"{path} cannot be read: {reason}", next_step="name a readable file of keys"
        ) from None
    if not isinstance(document, dict):
        raise LocalFileError(f"{path} holds no JSON object", next_step="name a file of keys")
    return document


class _Unusable(ValueError):
    """Why a file is not used, in words that quote nothing of it."""


def _content(path: Path) -> bytes:
    """Read a file in one go. It does not wait for whoever writes to a named pipe."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise _Unusable("it is no regular file")
        content = source.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise _Unusable(f"it is larger than {MAX_FILE_BYTES} bytes")
    return content


def each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of distinct names, as `object_pairs_hook` of `json.loads`.

    Parsers differ in which of two equal names they use. Raises ValueError if a name stands twice.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unusable("a name stands twice in it")
    return found


def encode(content: bytes) -> str:
    """Return base64url without padding (RFC 7515)."""
    return b2a_base64(content, newline=False).rstrip(b"=").translate(_TO_URL).decode()


def decode(text: bytes) -> bytes:
    """Return what `encode` encoded. Raises ValueError for anything that it would not have written.

    Two texts for the same bytes would be two tokens with the same signature.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    # Bits of the last character that belong to no byte are zero.
    if text and text[-1] not in _LAST[len(text) % 4]:
        raise ValueError("not the shortest form")
    return a2b_base64(text.translate(_FROM_URL) + b"=" * (-len(text) % 4))
