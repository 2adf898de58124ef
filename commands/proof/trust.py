"""Trust: whose signatures this process accepts, and with which key it signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from signalbox.commands.error import InvalidCommand, InvalidSetting, LocalFileError
from signalbox.commands.proof.keys import (
    PrivateKey,
    PublicKey,
    load_private,
    public_of,
    read_json,
)
from signalbox.commands.proof.principal import check_name
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.settings import Settings

_MEMBERS = {"keys", "signatures", "floor"}
_NEXT = "see docs/configuration.md"


@dataclass(frozen=True)
class Trust:
    """The root of trust of a deployment, from this process' files and settings."""

    audience: str
    """Name of the deployment, which every signature contains."""
    administrators: Mapping[str, tuple[str, PublicKey]]
    """Name and key of each administrator, by the key's id."""
    signatures: Signatures = Signatures.OFF
    """The minimum for the commands of every tenant; a policy may be stricter."""
    floor: int = 0
    """The lowest valid revision of the list of principals; an older one has lost changes."""
    signer: PrivateKey | None = field(default=None, repr=False)
    """The key that this process signs with, None if it signs nothing."""


def trust_of(settings: Settings) -> Trust | None:
    """Return the trust of the settings, None without a trust file. Raises InvalidSetting."""
    if settings.trust_file is None:
        return None
    audience = settings.audience
    if not audience:
        raise InvalidSetting(
            "SIGNALBOX_AUDIENCE: it names the deployment that signatures are for, and must be set "
            "with SIGNALBOX_TRUST_FILE",
            next_step=_NEXT,
        )
    try:
        document = read_json(settings.trust_file)
    except LocalFileError as error:
        _refuse(error.message)
    return _trust(document, audience, key_of(settings))


def key_of(settings: Settings) -> PrivateKey | None:
    """Return the key of `SIGNALBOX_KEY_FILE`, None without it. Raises InvalidSetting."""
    if settings.key_file is None:
        return None
    try:
        return load_private(settings.key_file)
    except (InvalidCommand, LocalFileError) as error:
        raise InvalidSetting(
            f"SIGNALBOX_KEY_FILE: {error.message}", next_step=error.next_step
        ) from None


def administrator(name: str, key: PublicKey) -> dict[str, Any]:
    """Return the member of a trust file's `keys` for an administrator."""
    return key.jwk() | {"kid": key.kid, "name": name}


def _trust(document: dict[str, Any], audience: str, signer: PrivateKey | None) -> Trust:
    if unknown := document.keys() - _MEMBERS:
        _refuse(f"it has unknown members: {', '.join(sorted(unknown))[:200]}")
    keys = document.get("keys")
    if not isinstance(keys, list) or not keys:
        _refuse("`keys` is no list with a key in it")
    administrators: dict[str, tuple[str, PublicKey]] = {}
    for entry in keys:
        try:
            key, name = public_of(entry), check_name(str(entry.get("name")))
        except InvalidCommand as error:
            _refuse(error.message)
        if not key.valid:
            _refuse(f"nothing can be signed for the key of {name}: it is no point of the curve")
        if key.kid in administrators:
            _refuse(f"the key of {name} stands there twice")
        administrators[key.kid] = (name, key)
    signatures, floor = document.get("signatures", "off"), document.get("floor", 0)
    if signatures not in list(Signatures):
        _refuse(f"`signatures` is none of {', '.join(Signatures)}")
    if not isinstance(floor, int) or isinstance(floor, bool) or floor < 0:
        _refuse("`floor` is no revision")
    return Trust(audience, administrators, Signatures(signatures), floor, signer)


def _refuse(reason: str) -> NoReturn:
    raise InvalidSetting(f"SIGNALBOX_TRUST_FILE: {reason}", next_step=_NEXT)
