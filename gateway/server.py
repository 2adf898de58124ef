"""Runs the gateway's server: `python -m signalbox.gateway`, or `signalbox gateway`."""

from __future__ import annotations

import logging
import resource
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from signalbox.commands.error import InvalidSetting
from signalbox.commands.ledger.layout import check_at_start
from signalbox.commands.one_core import keep_on_one_core
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.settings import Settings, without_password
from signalbox.gateway.app import gated, make_app
from signalbox.gateway.authentication import check_settings
from signalbox.gateway.gate import Aborted
from signalbox.gateway.protocol import protocol_of
from signalbox.gateway.services import Services
from signalbox.gateway.settings import GatewaySettings
from signalbox.workers.gc_freeze import keep_what_is_loaded

OTHER_FILES = 1024
"""Number of files beside connections: contents, databases, the state Redis, and connections that
are about to be refused."""


class GatewayServer(uvicorn.Server):
    """uvicorn's server, which tells the handlers when it stops, and announces when it listens."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, own: GatewaySettings) -> None:
        super().__init__(config)
        self._app = app
        self._own = own
        logging.getLogger("uvicorn.error").addFilter(_is_unknown)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        keep_what_is_loaded()
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        services: Services = self._app.state.services
        state = without_password(services.settings.state_url)
        print(f"gateway {address}: state {state}", flush=True)  # noqa: T201 - announces the address
        if ready := self._own.ready_file:
            part = ready.with_name(f"{ready.name}.part")
            part.write_text(address)
            part.rename(ready)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services: Services = self._app.state.services
        services.stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The signal is not recorded, or uvicorn would end the process by it before its last
        # handlers run.
        self.should_exit = True


def serve() -> None:
    """Serve until SIGTERM, then finish the current requests.

    Raises InvalidSetting, LedgerMismatch and LedgerTooNew.
    """
    settings, own = Settings(), GatewaySettings()
    check_settings(own, trust_of(settings))
    check_at_start(settings)
    _allow_files(own.connections)
    app = make_app(settings, own)
    config = uvicorn.Config(
        gated(app, own),
        http=protocol_of(own),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(own.idle_seconds.total_seconds()),
        timeout_graceful_shutdown=int(own.stop_seconds.total_seconds()),
    )
    if own.one_core:
        keep_on_one_core()
    with _listening(own) as bound:
        GatewayServer(config, app, own).run(sockets=[bound])


def _is_unknown(record: logging.LogRecord) -> bool:
    """Return False for a response that broke off, since the gate has logged it."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, Aborted)


def _allow_files(connections: int) -> None:
    """Raise this process' limit of open files to the number of connections.

    Raises InvalidSetting.
    """
    wanted = connections + OTHER_FILES
    soft, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if limit != resource.RLIM_INFINITY and limit < wanted:
        raise InvalidSetting(
            f"{connections} connections need {wanted} open files, and the system allows {limit}",
            next_step="lower SIGNALBOX_GATEWAY_CONNECTIONS, or raise the limit (ulimit -n)",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, limit))


def _listening(own: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in own.host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((own.host.strip("[]"), own.port))
    except OSError as error:
        bound.close()
        raise InvalidSetting(
            f"cannot listen on {own.host}:{own.port}: {error.strerror}",
            next_step="stop what listens there, or choose another port with --port or "
            "SIGNALBOX_GATEWAY_PORT",
        ) from error
    bound.listen(1024)
    sys.stdout.flush()
    return bound
