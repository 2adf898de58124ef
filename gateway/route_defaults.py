"""What a gateway adds to the config of a route: the operator's defaults, and its folder."""

from __future__ import annotations

import os
from pathlib import Path as Folder

from signalbox.commands.error import InvalidRouteConfig
from signalbox.commands.routing import RouteConfig
from signalbox.gateway.settings import GatewaySettings


def with_defaults(backend_type: str, config: RouteConfig, own: GatewaySettings) -> RouteConfig:
    """Return the config as it will be stored in the route, with the gateway's defaults."""
    full: RouteConfig = {**own.route_defaults.get(backend_type, {}), **config}
    if (
        backend_type == "s3"
        and "region" not in full
        and (r := os.environ.get("AWS_DEFAULT_REGION"))
    ):
        full["region"] = r
    folder = full.get("base_dir")
    if isinstance(folder, str) and folder and not os.path.isabs(folder):
        full["base_dir"] = str(_below(folder, own.base_dir))
    return full


def _below(folder: str, base: Folder | None) -> Folder:
    if base is None:
        raise InvalidRouteConfig(
            f"base_dir {folder[:200]!r} is relative, and the gateway has no folder for such",
            next_step="give the whole path, or have the operator set SIGNALBOX_GATEWAY_BASE_DIR",
        )
    if ".." in Folder(folder).parts or "\0" in folder:
        raise InvalidRouteConfig(
            f"base_dir {folder[:200]!r} leads out of the gateway's folder",
            next_step="leave out `..`",
        )
    return base.absolute() / folder
