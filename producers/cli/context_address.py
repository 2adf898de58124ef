"""Addresses in contexts, checked when a context is set. Passwords are in separate files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import signalbox
from signalbox.commands.error import InvalidSetting, LocalFileError, reason_of
from signalbox.commands.vocabulary import Mode, check_env, check_tenant
from signalbox.producers.cli.contexts import Context


def with_password(url: str | None, file: str | None) -> str | None:
    """Return the address with the password from the file, if any. Raises LocalFileError."""
    if url is None or file is None:
        return url
    scheme, _, rest = url.partition("://")
    login, at, hosts = rest.rpartition("@")
    path = Path(file)
    try:
        if path.stat().st_mode & 0o077:
            raise LocalFileError(
                f"{path} holds a password, and others may read it", next_step=f"chmod 600 {path}"
            )
        password = path.read_text().rstrip("\r\n")
    except OSError as error:
        raise LocalFileError(
            f"{path}: {error.strerror}", next_step="it is to hold the password of a context"
        ) from None
    return f"{scheme}://{login if at else ''}:{quote(password, safe='')}@{hosts}"


def check_context(context: Context) -> None:
    """Check a context. Raises InvalidSetting, InvalidScope or LocalFileError if no command could
    use it."""
    from signalbox.commands.settings import without_password

    if context.tenant is not None:
        check_tenant(context.tenant)
    if context.env is not None:
        check_env(context.env)
    if context.mode is not None and context.mode not in list(Mode):
        raise InvalidSetting(
            f"there is no mode {context.mode!r}", next_step=f"use one of: {', '.join(Mode)}"
        )
    if (context.state_url is None) is not (context.broker_url is None):
        raise InvalidSetting(
            "a context names a state and its broker, or neither",
            next_step="give both --state-url and --broker-url",
        )
    for server in ("state", "broker"):
        url = getattr(context, f"{server}_url")
        file = getattr(context, f"{server}_password_file")
        if url is not None and without_password(url) != url:
            raise InvalidSetting(
                f"the address of the {server} holds a password",
                next_step="leave it out, write it into a file that only you may read, and name "
                f"that with --{server}-password-file",
            )
        if url is None and file is not None:
            raise InvalidSetting(
                f"a password of the {server} belongs to an address",
                next_step=f"give --{server}-url as well",
            )
        with_password(url, file)
    if context.state_url is not None:
        _check_state(context.state_url)
    if context.broker_url is not None:
        from signalbox.producers.broker.address import check_broker

        check_broker(context.broker_url)


def _check_state(url: str) -> None:
    from pydantic import ValidationError

    from signalbox.commands.state import connect

    try:
        signalbox.Settings(state_url=url)
    except ValidationError as error:
        reason = reason_of(error.errors(include_url=False)[0])
        raise InvalidSetting(
            f"the address of the state: {reason}", next_step="see docs/configuration.md"
        ) from None
    connect(url).close()
