"""Signs AWS requests in the query string (Signature Version 4), so that they expire.

A request signed in its headers is valid for 15 minutes, one signed in its query for `X-Amz-Expires`
seconds; the service therefore refuses what a suspended worker sends too late. The content is not
covered by the signature, but its `Content-MD5` or checksum header is.

Source: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote


@dataclass(frozen=True)
class Signer:
    """Signs with one access key, for one region and service."""

    access_key: str
    """Id of the access key."""
    secret_key: str
    """The secret key."""
    token: str | None
    """Session token; None for permanent keys."""
    region: str
    """The region."""
    service: str = "s3"
    """The service."""

    def sign(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        *,
        at: int,
        expiry: int,
    ) -> str:
        """Return the complete query string.

        `path` is as sent. `headers`, which include `host`, have lower-case names and are all
        signed. `at` and `expiry` are seconds since 1970.
        """
        stamp = _stamp(at)
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        names = ";".join(sorted(headers))
        pairs = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", _quoted(f"{self.access_key}/{scope}")),
            ("X-Amz-Date", stamp),
            ("X-Amz-Expires", str(expiry - at)),
            ("X-Amz-SignedHeaders", names.replace(";", "%3B")),
        ]
        if self.token:
            pairs.insert(4, ("X-Amz-Security-Token", _quoted(self.token)))
        if query:
            pairs = sorted([*pairs, *((quote(name, ""), quote(text, "")) for name, text in query)])
        text = "&".join([f"{name}={value}" for name, value in pairs])
        # Consecutive spaces count as one.
        lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers)]
        canonical = "\n".join((method, path, text, "".join(lines), names, "UNSIGNED-PAYLOAD"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        key = _day_key(self.secret_key, stamp[:8], self.region, self.service)
        return f"{text}&X-Amz-Signature={_hmac(key, to_sign).hex()}"


_quoted = lru_cache(maxsize=256)(lambda text: quote(text, ""))


@lru_cache(maxsize=4)
def _stamp(at: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


@lru_cache(maxsize=256)
def _day_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
