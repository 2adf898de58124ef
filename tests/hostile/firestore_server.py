"""A gRPC server under Firestore's names, that answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]  # ships no types
from google.cloud.firestore_v1.types import document, firestore

DocumentPb: Any = document.Document.pb()
STREAMS: dict[str, Any] = {
    "BatchGetDocuments": firestore.BatchGetDocumentsRequest,
    "RunQuery": firestore.RunQueryRequest,
}
SINGLE: dict[str, Any] = {
    "Commit": firestore.CommitRequest,
    "BatchWrite": firestore.BatchWriteRequest,
    "ListDocuments": firestore.ListDocumentsRequest,
}

Behaviour = Callable[[str, Any, threading.Event], Any]
"""For a method and its request: the bytes or message of the answer, or an iterator of them."""


@contextmanager
def serve(behaviour: Behaviour) -> Iterator[str]:
    """The server's host:port."""
    ended = threading.Event()

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            method = details.method.rpartition("/")[2]
            request = (STREAMS | SINGLE)[method]

            def answer(message: Any, context: Any) -> Any:
                return behaviour(method, message, ended)

            make = (
                grpc.unary_stream_rpc_method_handler
                if method in STREAMS
                else grpc.unary_unary_rpc_method_handler
            )
            return make(answer, request.deserialize, _spelled)

    threads = ThreadPoolExecutor(16)
    server = grpc.server(threads, handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        ended.set()
        server.stop(0).wait()
        threads.shutdown()


def _spelled(message: Any) -> bytes:
    if isinstance(message, bytes):
        return message
    spelled: bytes = message.SerializeToString()
    return spelled


def got(found: Any) -> Any:
    """An answer to BatchGetDocuments."""
    return firestore.BatchGetDocumentsResponse.pb()(found=found)


def listed(*names: str, token: str = "") -> Any:
    """One to ListDocuments."""
    documents = [DocumentPb(name=name) for name in names]
    return firestore.ListDocumentsResponse.pb()(documents=documents, next_page_token=token)


def walked(found: Any) -> Any:
    """One to RunQuery."""
    return firestore.RunQueryResponse.pb()(document=found)
