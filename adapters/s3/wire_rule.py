"""Which requests go over the wire of our own, and which are boto3's: all of the choice stands here.

Our own sends puts of one request, gets, heads and deletes of single objects, at a tenth of boto3's
processor time. It is not asked

- for lists, parts and presigned addresses: they are rare, or large enough not to matter;
- on routes with a KMS key, to access points and directory buckets, whose addresses and signatures
  are boto3's to know, or where `engine` says `boto3`;
- where the environment names a proxy.

An answer that it gets is S3's. Where it gets none (a connection gone stale), boto3 is asked once
more, within the time limit; a service that is silent for 20 s is not asked twice.
"""

from __future__ import annotations

import sys

from botocore.utils import get_environ_proxies

from signalbox.adapters.s3.config import S3Config


def route_fits(config: S3Config) -> bool:
    """Return whether requests of this route may use our own connections."""
    return config.engine == "auto" and not config.kms_key_id and not config.has_own_host


def environment_fits(endpoint: str) -> bool:
    """Return whether the environment allows our own connections: it names no proxy."""
    return not get_environ_proxies(endpoint)


def mocked() -> bool:
    """Return whether a test has replaced AWS by moto, which our own requests would bypass."""
    moto = sys.modules.get("moto.core.botocore_stubber")
    return moto is not None and bool(sys.modules["moto.core.models"].botocore_stubber.enabled)
