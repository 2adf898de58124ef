"""Makes botocore sessions from the credentials references of routes; secrets stay in here."""

from __future__ import annotations

import configparser
import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
    RefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader

from signalbox.adapters.aws.config import DEFAULT_REGION, AwsConfig
from signalbox.adapters.credential_file import read_text
from signalbox.commands.error import Misconfigured
from signalbox.commands.scope import Scope

# botocore reads the file again when less than 15 minutes are left, so a rotated file is used within
# 5.
_FILE_IS_GOOD_FOR = timedelta(minutes=20)

_SHARED_LOADER = Loader()
"""The parsed service models: 10 MB that each session would otherwise have of its own."""


@dataclass(frozen=True)
class CredentialsReference:
    """The credentials that a route names; equal references share a session in a process."""

    profile: str | None
    """Profile of the worker, or section of `credentials_file`."""
    role_arn: str | None
    """Role to assume."""
    credentials_file: str | None
    """Path of an INI file."""
    region: str | None
    """Region for STS; None without a role."""
    sts_endpoint_url: str | None = None
    """URL of STS; None for Amazon's own."""
    tags: tuple[tuple[str, str], ...] = ()
    """Session tags of the role."""


def reference_of(config: AwsConfig, scope: Scope | None = None) -> CredentialsReference:
    """Return the reference in a route's config; with session tags it is specific to the scope."""
    region = (config.own_region or DEFAULT_REGION) if config.role_arn else None
    tags: tuple[tuple[str, str], ...] = ()
    if config.session_tags and scope is not None:
        tags = (("tenant_id", scope.tenant_id), ("env", scope.env))
    return CredentialsReference(
        config.profile,
        config.role_arn,
        config.credentials_file,
        region,
        config.sts_endpoint_url,
        tags,
    )


@dataclass(frozen=True)
class Identity:
    """A session to make clients with."""

    session: boto3.Session
    """The session."""
    region: str | None
    """Region of its profile; None if that names none."""


def make_identity(reference: CredentialsReference) -> Identity:
    """Make the session of a reference. Not thread-safe: the caller holds a lock.

    Raises Misconfigured (no such file or section), ProfileNotFound and other botocore errors.
    """
    session = _base_session(reference)
    region = None
    if reference.profile and not reference.credentials_file:
        region = session.get_scoped_config().get("region")
    if reference.role_arn is not None:
        session = _assume(reference, reference.role_arn, session)
    return Identity(boto3.Session(botocore_session=session), region)


def _assume(
    reference: CredentialsReference, role_arn: str, base: botocore.session.Session
) -> botocore.session.Session:
    source = base.get_credentials()
    if source is None:
        raise NoCredentialsError()
    # Shown in the account's audit trail; at most 64 characters.
    name = "-".join(["signalbox", *(value for _, value in reference.tags)])[:64]
    extra: dict[str, Any] = {"RoleSessionName": name}
    if reference.tags:
        extra["Tags"] = [{"Key": key, "Value": value} for key, value in reference.tags]
    timeouts = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    fetcher = AssumeRoleCredentialFetcher(
        functools.partial(
            _new_session(None).create_client,
            region_name=reference.region,
            endpoint_url=reference.sts_endpoint_url,
            config=timeouts,
        ),
        source,
        role_arn,
        extra_args=extra,
    )
    assumed = _new_session(None)
    _use(assumed, DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role"))
    return assumed


def _base_session(reference: CredentialsReference) -> botocore.session.Session:
    if reference.credentials_file is None:
        return _new_session(reference.profile)
    read = functools.partial(
        _read_file, Path(reference.credentials_file), reference.profile or "default"
    )
    session = _new_session(None)
    _use(session, RefreshableCredentials.create_from_metadata(read(), read, "signalbox-file"))
    return session


def _new_session(profile: str | None) -> botocore.session.Session:
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", _SHARED_LOADER)
    return session


class _Fixed(CredentialProvider):
    """A provider chain with one provider, so that no environment variable is used."""

    METHOD = "signalbox"

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials


def _use(session: botocore.session.Session, credentials: Credentials) -> None:
    session.register_component("credential_provider", CredentialResolver([_Fixed(credentials)]))


def _read_file(path: Path, section: str) -> dict[str, str | None]:
    """Return the credentials in botocore's form for refreshing. Errors never quote the file."""
    step = (
        f"let the worker read it, with aws_access_key_id and aws_secret_access_key in its section "
        f"[{section}]"
    )
    text = read_text(str(path), step)
    parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
    try:
        parser.read_string(text)
        found = parser[section]
        return {
            "access_key": found["aws_access_key_id"],
            "secret_key": found["aws_secret_access_key"],
            "token": found.get("aws_session_token"),
            "expiry_time": (datetime.now(UTC) + _FILE_IS_GOOD_FOR).isoformat(),
        }
    except (ValueError, KeyError, configparser.Error) as error:
        # The parser's messages contain lines of the file, so only the class is reported.
        raise Misconfigured(
            f"credentials_file {path} cannot be used: {type(error).__name__}",
            next_step=step,
        ) from None
