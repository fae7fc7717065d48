"""HTTP/1.1: requests and replies as data, and a server that delivers a reply well or badly."""

from __future__ import annotations

import json
import re
import secrets
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from .refusals import RefusalError, bad_request


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    host: str
    """The Host header: name and port."""
    target: str
    """Path and query as sent, quoted."""
    headers: Message
    """Names are found whatever their case."""
    body: bytes = b""

    @property
    def quoted_path(self) -> str:
        return urlsplit(self.target).path

    @property
    def path(self) -> str:
        return unquote(self.quoted_path)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def flag(self, name: str) -> bool:
        """Return whether a query parameter is 1 or true."""
        return self.query.get(name, [""])[0].lower() in ("1", "true")

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty body is an empty object."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise bad_request(f"invalid JSON: {error}") from None
        if not isinstance(value, dict):
            raise bad_request("expected a JSON object")
        return value


@dataclass(frozen=True)
class Delivery:
    """How a reply goes over the wire; the default is as it should."""

    head: bool = True
    """Whether the status line and the headers are sent at all."""
    announced: int | Literal["unknown"] | None = None
    """The Content-Length sent: None is the true one, "unknown" sends no such header."""
    stop_after: int | None = None
    """Body bytes sent; None is all of them."""
    ending: Literal["keep", "close", "reset", "stall"] = "keep"
    """What becomes of the connection: FIN, RST, or silence until the server closes."""
    chunk: int = 1 << 16
    pause: float = 0.0
    """Seconds of waiting after each chunk of so many bytes."""


@dataclass(frozen=True)
class Reply:
    """What the client gets. A HEAD request gets the same without the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bytes | None = None
    """The full content when `body` is a range of it."""
    delivery: Delivery = Delivery()

    def with_headers(self, **headers: str) -> Reply:
        """Return the reply with more headers; an underscore stands for a dash."""
        return replace(self, headers={**self.headers, **{name.replace("_", "-"): v for name, v in headers.items()}})


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps(value).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def refusal_reply(refusal: RefusalError) -> Reply:
    headers = {"X-Error-Message": refusal.message, **refusal.headers}
    if refusal.code:
        headers["X-Error-Code"] = refusal.code
    return json_reply({"error": refusal.message, **refusal.extra}, refusal.status, headers)


def content_reply(request: Request, content: bytes, headers: Mapping[str, str]) -> Reply:
    """Answer 200 with the content, 206 with the range asked for, or 416. Several ranges at once get a 200."""
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if asked is None or asked.group() == "bytes=-":
        return Reply(200, content, headers)
    first, last = asked.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last), len(content) - 1) if first and last else len(content) - 1
    if start > end:
        return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
    return Reply(206, content[start : end + 1], headers, whole=content)


Answer = Callable[[Request], Reply]


class Server(ThreadingHTTPServer):
    """One listener on 127.0.0.1. Its `close` ends every connection and every thread, stalled ones too."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.closing = threading.Event()
        self.errors: list[str] = []
        """Tracebacks of whatever the server itself did wrong."""
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="hub")

    @property
    def port(self) -> int:
        return self.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        with self._lock:
            self._connections.discard(request)
        if _lingers(request):
            self.close_request(request)  # at once, so that the kernel sends RST and not FIN
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            self.errors.append(traceback.format_exc())


class Handler(BaseHTTPRequestHandler):
    """Reads requests, lets the server answer them, and delivers the replies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def exchange(self) -> None:
        """Read one request and send one reply."""
        request = Request(self.command, self.headers.get("Host", ""), self.path, self.headers, self._read_body())
        self._deliver(request, self._answer(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = exchange  # noqa: N815 (the names http.server looks for)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        try:
            return self.server.answer(request)
        except RefusalError as refusal:
            return refusal_reply(refusal)
        except Exception:
            self.server.errors.append(traceback.format_exc())
            return refusal_reply(RefusalError(500, "the test server has a bug"))

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self._read_chunk, b""))
        return self._read_exactly(int(self.headers.get("Content-Length", 0)))

    def _read_chunk(self) -> bytes:
        chunk = self._read_exactly(int(self.rfile.readline().split(b";")[0] or b"0", 16))
        self.rfile.readline()
        return chunk

    def _read_exactly(self, size: int) -> bytes:
        body = self.rfile.read(size)
        if len(body) != size:
            raise ConnectionAbortedError("the client left in the middle of its request")
        return body

    def _deliver(self, request: Request, reply: Reply) -> None:
        if reply.delivery.head:
            self._send_head(reply)
            if request.method != "HEAD":
                self._send_body(reply.body[: reply.delivery.stop_after], reply.delivery)
        self._end(reply.delivery.ending)

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"X-Request-Id": f"Root=1-{secrets.token_hex(8)}", **reply.headers}.items():
            self.send_header(name, value.encode("utf-8").decode("latin-1").replace("\n", " "))
        if reply.delivery.announced == "unknown":
            self.send_header("Connection", "close")
        else:
            length = reply.delivery.announced
            self.send_header("Content-Length", str(len(reply.body) if length is None else length))
        self.end_headers()

    def _send_body(self, body: bytes, delivery: Delivery) -> None:
        for start in range(0, len(body), delivery.chunk):
            self.wfile.write(body[start : start + delivery.chunk])
            if delivery.pause and self.server.closing.wait(delivery.pause):
                break

    def _end(self, ending: str) -> None:
        if ending == "stall":
            self.server.closing.wait()
        if ending == "reset":
            time.sleep(0.05)  # what was sent before the reset is read before it, as on a slower network
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if ending != "keep":
            self.close_connection = True


def _lingers(connection: socket.socket) -> bool:
    with suppress(OSError):
        return struct.unpack("ii", connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))[0] == 1
    return False
