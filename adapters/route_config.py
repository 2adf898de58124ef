"""Validates the configs of routes against a backend's model, for all backends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from signalbox.commands.error import InvalidRouteConfig, reason_of
from signalbox.commands.scope import ResourceKind

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class RouteConfig(Generic[Model]):
    """How the configs of one backend are validated."""

    model: type[Model]
    """The model: frozen, and without unknown fields. Field descriptions are shown as next steps."""
    backend_type: str
    """Name of the backend type."""
    secrets: re.Pattern[str]
    """Matches unknown keys, in lower case, that look like a secret, which a route must not
    contain."""
    references: str
    """The fields that name a secret instead."""
    location: tuple[str, ...]
    """The fields that say where the data are, as opposed to credentials and tuning; with another
    value in one of them, a route may lead to other data."""
    required: tuple[str, ...] = ()
    """Fields with an error message of their own if they are missing."""

    def location_of(self, config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
        """Return the fields that say where the data are, defaults too.

        Raises InvalidRouteConfig.
        """
        checked = self.read(config, kind)
        return {name: getattr(checked, name) for name in self.location}

    def read(self, config: Mapping[str, Any], kind: ResourceKind) -> Model:
        """Return the validated config; makes no call.

        Raises InvalidRouteConfig with a next step.
        """

        def refuse(message: str, next_step: str) -> InvalidRouteConfig:
            return InvalidRouteConfig(
                message, kind=kind, backend_type=self.backend_type, next_step=next_step
            )

        fields = self.model.model_fields
        for key in config:
            if key not in fields and self.secrets.search(str(key).lower()):
                raise refuse(
                    f"config key {str(key)[:64]!r} looks like a secret: credentials never stand "
                    "in a route",
                    f"name a reference instead: {self.references}",
                )
        for key in self.required:
            if not config.get(key):
                raise refuse(
                    f"the route has no {key}", f"set `{key}` in its config; nothing falls back"
                )
        try:
            return self.model.model_validate(dict(config))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = str(first["loc"][0])[:64] if first["loc"] else ""
            field = fields.get(where)
            hint = (
                f"{where}: {field.description or 'see docs/backends.md'}"
                if field
                else f"use {', '.join(fields)}"
            )
            raise refuse(f"config {where or 'as a whole'}: {reason_of(first)}", hint) from None
