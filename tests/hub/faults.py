"""What a network, a mirror or a hostile server does to an answer.

A fault either stands in for the Hub, which then never sees the request, or changes the Hub's reply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import ClassVar, Literal

HTML = b"<!DOCTYPE html><html><body><h1>Welcome to the hotel network</h1><p>Please accept our terms.</p></body></html>"


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    host: str
    """Name and port as the client wrote them."""
    path: str
    """Unquoted, without the query."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """With lower-case names."""
    body: bytes

    @property
    def authorized(self) -> bool:
        return "authorization" in self.headers

    def matches(self, pattern: str) -> bool:
        """Compare with a method and a path, each with wildcards: "GET */resolve/*"."""
        method, _, path = pattern.partition(" ")
        return fnmatchcase(self.method, method) and fnmatchcase(self.path, path)


@dataclass(frozen=True)
class Reply:
    """What the client gets, and how it goes over the wire. A HEAD request gets the same without the body."""

    status: int = 200
    """0 sends nothing at all."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | Literal["unknown"] | None = None
    """Content-Length; None is that of the body."""
    sent: int | None = None
    """Bytes of the body that are sent; None is all of them."""
    bytes_per_second: int | None = None
    ending: Literal["keep", "close", "reset", "stall"] = "keep"
    """What happens to the connection: it is kept, ends with FIN or RST, or falls silent."""
    endless: bytes = b""
    """Sent again and again before the reply, which never comes."""


class Fault:
    """Something that goes wrong with a reply."""

    instead_of_the_hub: ClassVar[bool] = False

    def change(self, request: Request, reply: Reply) -> Reply | None:
        """Return the reply that is sent, or None for one that this fault does not concern."""
        raise NotImplementedError


# --- instead of the Hub's reply ---


@dataclass(frozen=True)
class Status(Fault):
    """Another reply; status 0 ends the connection without one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    instead_of_the_hub = True

    def change(self, request: Request, reply: Reply) -> Reply:
        return Reply(self.status, self.body, self.headers, ending="keep" if self.status else "close")


def Content(body: bytes, media_type: str = "application/json") -> Status:  # noqa: N802
    return Status(200, {"Content-Type": media_type}, body)


def html_page() -> Status:
    """A captive portal's page where JSON or a file was expected."""
    return Content(HTML, "text/html; charset=utf-8")


def TooManyRequests(retry_after: int) -> Status:  # noqa: N802
    return Status(429, {"Retry-After": str(retry_after)})


def Redirect(url: str) -> Status:  # noqa: N802
    return Status(302, {"Location": url})


Drop = partial(Status, 0)


@dataclass(frozen=True)
class EndlessHead(Fault):
    """Headers, or informational responses, that never end; each comes in time."""

    start: bytes
    again: bytes
    instead_of_the_hub = True

    def change(self, request: Request, reply: Reply) -> Reply:
        return Reply(0, self.start, endless=self.again)


EndlessHeaders = partial(EndlessHead, b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n")
EndlessHints = partial(EndlessHead, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")


# --- the Hub's reply, changed ---


class BodyFault(Fault):
    """Concerns replies that carry a body."""

    def change(self, request: Request, reply: Reply) -> Reply | None:
        has_body = request.method != "HEAD" and reply.status == 200 and reply.body
        return self.change_body(reply) if has_body else None

    def change_body(self, reply: Reply) -> Reply:
        raise NotImplementedError


@dataclass(frozen=True)
class Interrupted(BodyFault):
    """Half of the body comes."""

    ending: Literal["close", "reset", "stall"]
    length: Literal["unknown"] | None = None

    def change_body(self, reply: Reply) -> Reply:
        return replace(reply, sent=len(reply.body) // 2, ending=self.ending, length=self.length)


Cut = partial(Interrupted, "close")
Reset = partial(Interrupted, "reset")
Stall = partial(Interrupted, "stall")
NoLength = partial(Interrupted, "close", "unknown")  # the stream itself does not show that bytes are missing


@dataclass(frozen=True)
class Drip(BodyFault):
    """The body comes slowly."""

    bytes_per_second: int

    def change_body(self, reply: Reply) -> Reply:
        return replace(reply, bytes_per_second=self.bytes_per_second)


@dataclass(frozen=True)
class WrongLength(BodyFault):
    """The Content-Length is off by some bytes; after the whole body the connection ends."""

    difference: int

    def change_body(self, reply: Reply) -> Reply:
        return replace(reply, length=len(reply.body) + self.difference, ending="close")


@dataclass(frozen=True)
class FlippedByte(BodyFault):
    """The last byte is another one."""

    def change_body(self, reply: Reply) -> Reply:
        return replace(reply, body=reply.body[:-1] + bytes([reply.body[-1] ^ 0xFF]))


@dataclass(frozen=True)
class LyingSize(Fault):
    """The file has another size: X-Linked-Size, Content-Length and body agree on it (cut, or padded with zeros)."""

    size: int

    def change(self, request: Request, reply: Reply) -> Reply | None:
        if "X-Linked-Size" in reply.headers:
            return replace(reply, headers={**reply.headers, "X-Linked-Size": str(self.size)})
        return replace(reply, body=reply.body[: self.size].ljust(self.size, b"\0")) if reply.status == 200 else None


@dataclass(frozen=True)
class LostAnswer(Fault):
    """The Hub does what it is asked for, and the connection ends before it can say so."""

    def change(self, request: Request, reply: Reply) -> Reply:
        return Reply(0, ending="close")


@dataclass(frozen=True)
class VerifyAt(Fault):
    """The answer to the announcement of an upload names an address to confirm it at."""

    url: str

    def change(self, request: Request, reply: Reply) -> Reply:
        document = json.loads(reply.body)
        for row in document["objects"]:
            if "actions" in row:
                row["actions"]["verify"] = {"href": self.url}
        return replace(reply, body=json.dumps(document).encode())


@dataclass(frozen=True)
class Changed(Fault):
    """Keys of the JSON that the Hub answers have other values."""

    values: Mapping[str, object]

    def change(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, body=json.dumps({**json.loads(reply.body), **self.values}).encode())


@dataclass(frozen=True)
class Header(Fault):
    name: str
    value: str

    def change(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, headers={**reply.headers, self.name: self.value})


ChangedETag = partial(Header, "X-Linked-ETag", f'"{"0" * 64}"')
