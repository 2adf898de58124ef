"""Translates botocore's errors, for all AWS services, to SignalboxErrors.

Only codes, class names and request ids are passed on: messages of services and parameter checks can
contain keys, signatures or content.
"""

from __future__ import annotations

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from signalbox.adapters.deadline import current
from signalbox.adapters.response_check import code_text
from signalbox.commands.error import (
    IntegrityMismatch,
    InvalidCommand,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Unavailable,
)

CHECK_CREDENTIALS = "check the profile, role_arn or credentials_file that the route names"
GIVE_CREDENTIALS = (
    f"{CHECK_CREDENTIALS}; where it names none, give workers and gateway AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY"
)
LATER = "it is tried again; nothing is to be done unless it stays"

OWN_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.UnknownCredentialError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.UnknownTokenProviderError,
    boto.RefreshWithMFAUnsupportedError,
    boto.SSOError,
    boto.LoginError,
)
NO_ANSWER = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.MetadataRetrievalError,
    # The instance's metadata service or a credential process, which may fail temporarily.
    boto.CredentialRetrievalError,
)


def code_of(error: ClientError) -> str:
    """Return the service's error code; empty if it has none that is safe to show."""
    return code_text(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the HTTP status; 0 if unknown."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def trace_of(error: ClientError) -> str:
    """Return code (or status), operation and request id, which are safe to show."""
    request_id = code_text(error.response.get("ResponseMetadata", {}).get("RequestId", ""))
    trace = f", request {request_id}" if request_id else ""
    return f"{code_of(error) or status_of(error)} to {error.operation_name}{trace}"


def translate_botocore(error: BotoCoreError, service: str) -> SignalboxError:
    """Return the error for any of botocore's own exceptions, without tenant and so on."""
    if (deadline := current()) is not None and deadline.fault:
        return deadline.error(service)
    name = type(error).__name__
    if isinstance(error, OWN_CREDENTIALS):
        return PermissionDenied(f"no usable credentials ({name})", next_step=GIVE_CREDENTIALS)
    if isinstance(error, NO_ANSWER):
        return Unavailable(f"no answer from {service} ({name})", next_step=LATER)
    if isinstance(error, boto.ProfileNotFound):
        return Misconfigured(
            "the profile does not exist in the worker",
            next_step="create it there, or name another `profile` in the route's config",
        )
    if isinstance(error, boto.ChecksumError | boto.FlexibleChecksumError):
        return IntegrityMismatch(
            f"what {service} sent is damaged ({name})", next_step="read it again"
        )
    if isinstance(error, boto.ParamValidationError):
        return InvalidCommand(
            f"{service} cannot be asked this ({name})",
            next_step="check the key and the route's config",
        )
    return Misconfigured(f"the {service} client cannot work ({name})", next_step="check the route")
