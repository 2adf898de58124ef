"""Runs as a program: what a service writes without Signalbox: a FastAPI route that puts the body
straight onto the backend. It prints its port, and ends by a signal."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope

THREADS = 4
"""SQLite has one writer at a time; more threads only wait for its lock, and give up."""


def make_app(base_dir: str) -> FastAPI:
    """PUT and GET /{key}: one call of the adapter each, on a thread."""
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_bare", env="dev")
    context = AdapterContext(scope, Mode.LAB, {"base_dir": base_dir})
    store = find_backend(scope.kind, "filesystem").open(context)
    threads = ThreadPoolExecutor(THREADS)
    payloads, numbers = DirectoryPayloadStore(Path(base_dir)), itertools.count(1)
    scope_fields = {"tenant_id": scope.tenant_id, "env": scope.env}
    app = FastAPI()

    def call() -> Call:
        number = next(numbers)
        return Call(str(number), number, False, lease_clock() + 60, payloads)

    @app.put("/{key:path}")
    async def put(key: str, request: Request) -> dict[str, str]:
        command = PutObject(
            **scope_fields, key=key, payload=InlinePayload(data=await request.body())
        )
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(threads, store.put, command, call())
        return {"uri": result.uri}

    @app.get("/{key:path}")
    async def get(key: str) -> Response:
        def read() -> bytes:
            stream = store.get(GetObject(**scope_fields, key=key), call())
            try:
                return bytes(stream.body.read())
            finally:
                stream.body.close()

        return Response(await asyncio.get_running_loop().run_in_executor(threads, read))

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base_dir")
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as bound:
        print(bound.getsockname()[1], flush=True)  # noqa: T201 - for the process that started it
        config = uvicorn.Config(
            make_app(parser.parse_args().base_dir), log_config=None, access_log=False
        )
        uvicorn.Server(config).run(sockets=[bound])
