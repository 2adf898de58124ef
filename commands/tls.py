"""TLS to the state Redis and the broker: the files that an address names, and errors in words."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl

from signalbox.commands.error import InvalidSetting

# Part of what OpenSSL says, and the advice. Clients wrap its errors in theirs, with its text.
_ADVICE = (
    (
        "certificate has expired",
        "its certificate has expired: renew it on the server",
    ),
    (
        "certificate is not valid for",
        "its certificate is for another name: use a name in {setting} that the certificate has, "
        "or renew it with this one",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not of an authority that is trusted here: name the authority's file in "
        "{setting} (?ssl_ca_certs=/path/to/ca.pem)",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "it speaks no TLS at this port: name its TLS port in {setting}, or begin it with redis://",
    ),
    ("RECORD_LAYER_FAILURE", "it speaks no TLS at this port: name its TLS port in {setting}"),
    (
        "SSL",
        "TLS failed: compare the certificates of both sides, and what `openssl s_client` says, "
        "with the ssl_ options in {setting}",
    ),
)


_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def check_tls_files(url: str, setting: str) -> None:
    """Raise InvalidSetting if an address names a certificate or key that this process cannot read.

    Clients report that as if the server did not answer.
    """
    # Not by urlsplit, which raises ValueError for a host that is none: others tell of that.
    for name, path in parse_qsl(url.partition("?")[2]):
        if name in _FILES and not (os.path.isfile(path) and os.access(path, os.R_OK)):
            raise InvalidSetting(
                f"{setting}: {name} names no file that this process can read: {path}",
                next_step="put the file there, or correct the path",
            )


def tls_step(error: BaseException, setting: str) -> str | None:
    """Return the next step if TLS failed, with the setting that has the address; else None."""
    text = " ".join(_texts(error))
    return next((advice.format(setting=setting) for said, advice in _ADVICE if said in text), None)


def _texts(error: BaseException | None) -> list[str]:
    """The texts of an error and of those that caused it."""
    found: list[str] = []
    while error is not None and len(found) < 10:
        found.append(str(error))
        error = error.__cause__ or error.__context__
    return found
