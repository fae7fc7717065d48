"""A Hugging Face Hub on this machine: `with HubServer() as hub`, then point HF_ENDPOINT at `hub.url`.

It keeps everything in memory, speaks the Hub's protocol (`api`) as far as the real client needs it for ganzoo, records
every request, and misbehaves (`faults`) when asked to.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from .api import Call, RefusalError, answer
from .faults import Fault, Reply, Request
from .repository import Repository

RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST


@dataclass
class Planned:
    """A fault, the requests it waits for, and how often it happened."""

    pattern: str
    fault: Fault
    times: int | None
    happened: int = 0

    def waits_for(self, request: Request) -> bool:
        return request.matches(self.pattern) and (self.times is None or self.happened < self.times)


class HubServer(ThreadingHTTPServer):
    """The Hub and its storage. Leaving the `with` block raises AssertionError if the server itself had a bug."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.storage_url = f"http://localhost:{self.server_port}"
        """Another host name, as with the Hub's own storage."""
        self.elsewhere = f"{self.storage_url}/elsewhere/page"
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        """LFS contents by sha256."""
        self.requests: list[Request] = []
        """In the order of arrival."""
        self.planned: list[Planned] = []
        self.closing = threading.Event()
        self.errors: list[str] = []
        self._namespaces: dict[str, tuple[str, ...]] = {}
        """By token."""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        if self.errors and kind is None:
            raise AssertionError("the test server has a bug:\n" + "\n".join(self.errors))

    # --- what tests prepare and look at ---

    def add_user(self, name: str, token: str, orgs: Iterable[str] = ()) -> None:
        self._namespaces[token] = (name, *orgs)

    def add_repo(
        self, repo_id: str, contents: Mapping[str, bytes], *, private: bool = False, gated: bool = False
    ) -> str:
        """Create a repository with these files beside its `.gitattributes`; return the commit."""
        self.repositories[repo_id] = Repository(repo_id, private, gated)
        return self.commit(repo_id, contents)

    def commit(self, repo_id: str, contents: Mapping[str, bytes | None]) -> str:
        """Add, change, or with None remove files on main; return the commit."""
        with self._lock:
            return self.repositories[repo_id].commit(contents, "Update").id

    def repo(self, repo_id: str) -> Repository:
        return self.repositories[repo_id]

    def misbehave(self, pattern: str, fault: Fault, times: int | None = 1) -> Planned:
        """Plan a fault for requests such as "GET */resolve/main/config.json" or "PUT *".

        `*` matches slashes too. The bytes of an LFS file come from /objects/SHA256/NAME, those of an upload go to
        /upload/SHA256. The fault waits for the first requests that it concerns (`Cut` needs a body); with `times=None`
        it never ends. The result counts in `happened`.
        """
        self.planned.append(Planned(pattern, fault, times))
        return self.planned[-1]

    def requested(self, pattern: str) -> list[Request]:
        return [request for request in list(self.requests) if request.matches(pattern)]

    def leaks(self) -> list[Request]:
        """Return the requests that brought a token to another host than the Hub."""
        return [one for one in list(self.requests) if one.authorized and f"http://{one.host}" != self.url]

    # --- answers ---

    def answer(self, request: Request, quoted_path: str) -> Reply:
        with self._lock:
            self.requests.append(request)
            waiting = [planned for planned in self.planned if planned.waits_for(request)]
            reply, before = Reply(), [planned for planned in waiting if planned.fault.instead_of_the_hub]
            if not before:
                try:
                    reply = answer(Call(self, request, self._namespaces_of(request)), quoted_path)
                except RefusalError as refusal:
                    reply = refusal.reply
            for planned in before or waiting:
                if changed := planned.fault.change(request, reply):
                    planned.happened += 1
                    return changed
            return reply

    def _namespaces_of(self, request: Request) -> tuple[str, ...] | None:
        if not request.authorized:
            return None
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token not in self._namespaces:
            raise RefusalError(401, "Invalid credentials in Authorization header")
        return self._namespaces[token]

    def shutdown_request(self, request: Any) -> None:
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET)) == RESET:
            self.close_request(request)  # a shutdown would send FIN first
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            self.errors.append(traceback.format_exc())


class Handler(BaseHTTPRequestHandler):
    """Reads requests and delivers the Hub's replies, well or badly."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer

    def exchange(self) -> None:
        """Read one request and send one reply."""
        url = urlsplit(self.path)
        request = Request(
            method=self.command,
            host=self.headers.get("Host", ""),
            path=unquote(url.path),
            query=parse_qs(url.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
        )
        reply = self.server.answer(request, url.path)
        if reply.endless:
            self.wfile.write(reply.body)
            while not self.server.closing.wait(0.1):
                self.wfile.write(reply.endless)
        if reply.status:
            self._send_head(reply)
            if request.method != "HEAD":
                self._send_body(reply)
        if reply.ending == "stall":
            self.server.closing.wait()
        elif reply.ending == "reset":
            time.sleep(0.05)  # lets the client read what came before, as on a slower network
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if reply.ending != "keep":
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = exchange  # noqa: N815 (the names http.server looks for)

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.length == "unknown":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        self.end_headers()

    def _send_body(self, reply: Reply) -> None:
        body = reply.body[: reply.sent]
        if reply.bytes_per_second is None:
            self.wfile.write(body)
            return
        size = max(1, reply.bytes_per_second // 10)
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            if self.server.closing.wait(0.1):
                break

    def log_message(self, *_: object) -> None:
        pass
