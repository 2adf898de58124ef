"""The config of a route to Firestore."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from signalbox.adapters.reach import Endpoint, Reaches
from signalbox.adapters.route_config import RouteConfig
from signalbox.commands.scope import ResourceKind

BACKEND_TYPE = "firestore"

_PROJECT = re.compile(r"(?:[a-z0-9.-]{1,63}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DATABASE = re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})")
_SECRET = re.compile(
    r"secret|password|passwd|passphrase|token|credential|private_?key|api_?key|access_?key"
)


class FirestoreConfig(BaseModel):
    """One route's config. Credentials are only referenced.

    Without a reference, the worker's own identity is used (application default credentials).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(description="Id of the Google Cloud project.")
    database: str = Field("(default)", description="Id of a database in Native mode.")
    region: str | None = Field(
        None,
        pattern=r"^[a-z0-9-]{1,40}$",
        description="Where the database is, as its operator knows; a policy may ask for it.",
    )
    credentials_file: str | None = Field(
        None, min_length=1, description="A service account's key file in the worker's file system."
    )
    emulator_host: str | None = Field(
        None, description="host:port of an emulator; FIRESTORE_EMULATOR_HOST is not looked at."
    )
    prefix: str = Field(
        "",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$|^$",
        description="Put before the name of every collection; begins with a letter.",
    )

    @field_validator("project")
    @classmethod
    def _project_is_an_id(cls, project: str) -> str:
        if not _PROJECT.fullmatch(project):
            raise ValueError("give the project's id, such as my-project-123")
        return project

    @field_validator("database")
    @classmethod
    def _database_is_an_id(cls, database: str) -> str:
        if not _DATABASE.fullmatch(database):
            raise ValueError("give (default), or the id of a database")
        return database

    @field_validator("emulator_host")
    @classmethod
    def _emulator_is_an_address(cls, host: str | None) -> str | None:
        if host is None:
            return None
        match = _HOST.fullmatch(host)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise ValueError("give host:port, without http://")
        return host

    @property
    def database_name(self) -> str:
        """Name of the database in Firestore's API."""
        return f"projects/{self.project}/databases/{self.database}"


_ROUTE = RouteConfig(
    FirestoreConfig,
    BACKEND_TYPE,
    _SECRET,
    "credentials_file",
    location=("project", "database", "emulator_host", "prefix"),
    required=("project",),
)


def read_config(config: Mapping[str, Any], kind: ResourceKind) -> FirestoreConfig:
    """Return the validated config; makes no call. Raises InvalidRouteConfig with a next step."""
    return _ROUTE.read(config, kind)


def location(config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
    """Return what says where the data are. Raises InvalidRouteConfig."""
    return _ROUTE.location_of(config, kind)


def reaches(config: Mapping[str, Any], kind: ResourceKind) -> Reaches:
    """Return what the config reaches. Raises InvalidRouteConfig."""
    checked = read_config(config, kind)
    emulator = urlsplit(f"//{checked.emulator_host}") if checked.emulator_host else None
    return Reaches(
        credential_files=(checked.credentials_file,) if checked.credentials_file else (),
        # No credential is sent to an emulator.
        endpoints=(Endpoint(emulator.hostname or "", emulator.port),) if emulator else (),
    )
