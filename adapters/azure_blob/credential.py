"""Reads the credential files of Azure routes: the account's key, or a SAS token."""

from __future__ import annotations

import base64
import os
import re

from signalbox.adapters.azure_blob.config import AzureConfig
from signalbox.adapters.credential_file import read_line
from signalbox.commands.error import Misconfigured

_SAS = re.compile(r"(?=.*\bsig=)(?:[a-z]+=[A-Za-z0-9%:./+=_~,-]*&?)+")


def account_key(config: AzureConfig) -> str | None:
    """Return the account's key; None if the route references none. Raises Misconfigured."""
    if config.account_key_file is not None:
        return _checked(_line(config.account_key_file), config.account_key_file)
    if config.connection_string_file is not None:
        return _key_within(config.connection_string_file, config)
    return None


def sas_token(config: AzureConfig) -> str | None:
    """Return the SAS token; None if the route references none. Raises Misconfigured."""
    if config.sas_file is None:
        return None
    token = _line(config.sas_file).lstrip("?")
    if not _SAS.fullmatch(token):
        # The text is sent as it is, so nothing else may be.
        raise Misconfigured(
            f"{config.sas_file} holds no SAS token", next_step="put it there as Azure shows it"
        )
    return token


def reference(config: AzureConfig) -> tuple[str | None, ...]:
    """Return the referenced files."""
    return (config.account_key_file, config.connection_string_file, config.sas_file)


def changed(config: AzureConfig) -> tuple[int, ...]:
    """Return when each file was last written, so that a rotated key is noticed."""
    return tuple(_written(path) for path in reference(config) if path)


def _key_within(path: str, config: AzureConfig) -> str:
    # Only its key is used: the route says where data goes.
    pairs = (part.partition("=") for part in _line(path).split(";"))
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    key, account = fields.get("accountkey"), fields.get("accountname", config.account)
    url = fields.get("blobendpoint", config.account_url).rstrip("/")
    if not key:
        raise Misconfigured(f"{path} holds no AccountKey", next_step="use sas_file for a SAS token")
    if (account, url) != (config.account, config.account_url):
        raise Misconfigured(
            f"{path} is of another account than account_url",
            next_step="correct either of them in the route's config",
        )
    return _checked(key, path)


def _checked(key: str, path: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except ValueError:
        raise Misconfigured(
            f"{path} holds no account's key: it is not base64",
            next_step="put the key into it as Azure shows it",
        ) from None
    return key


def _line(path: str) -> str:
    return read_line(path, "put the account's key or the SAS token alone into it, for the worker")


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
