"""Which requests obstore may send, and which are boto3's: all of the choice stands here.

obstore sends puts, gets and heads of single small objects, at a fraction of the processor time. It
is not asked

- for lists (it matches prefixes by whole segments, and has no place to go on from), parts and
  presigned addresses, which it does not have, and deletes (it would follow a redirect, and report
  as done what some other place has answered);
- on routes with a KMS key, to access points and directory buckets, or where `engine` says `boto3`;
- for keys that it would change or refuse, and metadata that it would sign otherwise than S3;
- in a child of a process that has used it, where it hangs, or where the environment would tell it
  what no argument can take back.

Whatever it answers but success that can be told for one is asked of boto3 once more, whose answer
counts: it knows S3's codes, tells a missing bucket from a missing object, and follows no redirect.
Only a service that is down or does not answer is not asked twice.
"""

from __future__ import annotations

import os
import re
import sys

from adapters.s3.config import S3Config
from adapters.s3.engine import Target

SMALL_BYTES = 1024 * 1024
"""Content up to this is sent and read whole by obstore."""

_STANDARD = frozenset(
    (
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "cache-control",
        "storage-class",
    )
)
"""Names that obstore takes for headers of their own, whatever their case."""
# An empty, `.` or `..` segment, or a control character.
_CHANGED = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")
# It takes these from the environment, and no argument says "none".
_UNASKED = (
    "AWS_CHECKSUM_ALGORITHM",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
    "AWS_SSE_BUCKET_KEY_ENABLED",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
)
# Authorities that botocore trusts in place of the system's.
_AUTHORITIES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def route_fits(config: S3Config) -> bool:
    return config.engine == "auto" and not config.kms_key_id and not config.has_own_host


def environment_fits(endpoint: str) -> bool:
    names = _UNASKED if endpoint.startswith("http://") else _UNASKED + _AUTHORITIES
    return not any(name in os.environ for name in names)


def mocked() -> bool:
    """Whether a test has put moto in the place of AWS: obstore would go past it."""
    moto = sys.modules.get("moto.core.botocore_stubber")
    return moto is not None and bool(sys.modules["moto.core.models"].botocore_stubber.enabled)


def key_fits(full_key: str) -> bool:
    # What is below a tenant's prefix mostly is seen to fit at once, at less cost.
    plain = full_key.isprintable() and "/." not in full_key and "//" not in full_key
    if plain and full_key[:1].isalnum() and full_key[-1:] != "/":
        return True
    return _CHANGED.search(full_key) is None


def put_fits(target: Target, content: bytes) -> bool:
    """S3 signs runs of spaces in a header as one, obstore as they are."""
    return (
        len(content) <= SMALL_BYTES
        and key_fits(target.full_key)
        and _STANDARD.isdisjoint(target.metadata)
        and "  " not in "|".join((target.content_type, *target.metadata.values()))
    )
