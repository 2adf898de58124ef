"""What our own HTTP takes for an answer, and what it does not."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signalbox.adapters.deadline import within
from signalbox.adapters.s3.wire import Garbled, Wire
from tests.unit.s3.engine_calls import make_call
from tests.unit.s3.stand_in import StandIn, answer


def ask(service: StandIn, said: bytes, method: str = "GET") -> tuple[int, bytes]:
    service.answers.append(said)
    wire = Wire(service.endpoint)
    found = wire.send(method, "/x", {"host": wire.host})
    return found.status, found.body


def test_an_answer_with_a_length_in_chunks_or_until_its_end_is_whole(service: StandIn) -> None:
    assert ask(service, answer(body=b"one")) == (200, b"one")
    head = b"HTTP/1.1 200 OK\r\n"
    chunks = b"3;x=y\r\none\r\n4\r\n two\r\n0\r\ntrailer: 1\r\n\r\n"
    assert ask(service, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks) == (200, b"one two")
    assert ask(service, head + b"\r\nuntil the end") == (200, b"until the end")
    assert ask(service, b"HTTP/1.1 100 Continue\r\n\r\n" + answer(204)) == (204, b"")
    assert ask(service, answer(404, headers={"Content-Length": "7"}), "HEAD") == (404, b"")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
        b"HTTP/1.1 200 OK\r\nx: y",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_garbled(service: StandIn, said: bytes) -> None:
    with pytest.raises(Garbled):
        ask(service, said)


def test_no_header_is_smuggled_in(service: StandIn) -> None:
    wire = Wire(service.endpoint)
    for bad in ({"x": "a\r\ny: b"}, {"x": "a\ny: b"}):
        with pytest.raises(ValueError, match="end of a line"):
            wire.send("GET", "/x", {"host": wire.host} | bad)
    assert service.requests == []


def certificate(folder: Path) -> Path:
    """One for the loopback address that signs itself, with its key, as a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "lab.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def test_https_is_spoken_only_to_whom_the_authorities_vouch_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"safe")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        endpoint = f"https://127.0.0.1:{server.server_port}"
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
            monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
            with pytest.raises(ssl.SSLCertVerificationError):
                Wire(endpoint).send("GET", "/", {"host": "127.0.0.1"})
            monkeypatch.setenv(name, str(path))
            assert Wire(endpoint).send("GET", "/", {"host": "127.0.0.1"}).body == b"safe"
            with within(make_call(tmp_path)):
                assert Wire(endpoint).send("GET", "/", {"host": "127.0.0.1"}).body == b"safe"
        server.shutdown()
