"""Misbehaviour: what a network, a mirror or a hostile server does to an answer.

Two kinds: some answer *instead* of the hub, which never sees the request; the others *spoil* the hub's own answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from .refusals import RefusalError
from .wire import Delivery, Reply, Request, refusal_reply

HTML = b"<!DOCTYPE html><html><body><h1>Welcome to the hotel network</h1><p>Please accept our terms.</p></body></html>"


class Fault:
    """One way to misbehave; an answer of None means that this request or reply is none of its business."""

    def instead(self, request: Request) -> Reply | None:
        return None

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        return None


@dataclass
class Misbehaviour:
    """A fault, the requests it waits for, and how often it happened."""

    pattern: str
    fault: Fault
    times: int | None
    """How often it happens; None is always."""
    happened: int = 0

    def waits_for(self, request: Request) -> bool:
        method, _, path = self.pattern.partition(" ")
        pending = self.times is None or self.happened < self.times
        return pending and fnmatchcase(request.method, method) and fnmatchcase(request.path, path)


@dataclass
class Mischief:
    """All that is planned. Of several faults for one request the first planned comes first."""

    planned: list[Misbehaviour] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def plan(self, pattern: str, fault: Fault, times: int | None) -> Misbehaviour:
        misbehaviour = Misbehaviour(pattern, fault, times)
        with self.lock:
            self.planned.append(misbehaviour)
        return misbehaviour

    def instead(self, request: Request) -> Reply | None:
        """Return the answer of the first fault that answers instead of the hub, if any."""
        return self._first(request, lambda fault: fault.instead(request))

    def spoil(self, request: Request, reply: Reply) -> Reply:
        """Return the hub's reply as the first fault that concerns it leaves it."""
        return self._first(request, lambda fault: fault.spoil(request, reply)) or reply

    def _first(self, request: Request, act: Callable[[Fault], Reply | None]) -> Reply | None:
        with self.lock:
            for misbehaviour in self.planned:
                if misbehaviour.waits_for(request) and (reply := act(misbehaviour.fault)) is not None:
                    misbehaviour.happened += 1
                    return reply
        return None


def has_content(request: Request, reply: Reply) -> bool:
    """Return whether body bytes will be sent with this reply."""
    return request.method != "HEAD" and reply.status in (200, 206) and bool(reply.body)


# Instead of the hub


@dataclass(frozen=True)
class Status(Fault):
    """A refusal with this status. With `processed` the hub has done what was asked, and only then fails."""

    status: int
    message: str = "Internal Error - We're working hard to fix this as soon as possible!"
    processed: bool = False

    def instead(self, request: Request) -> Reply | None:
        return None if self.processed else self._reply()

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        return self._reply() if self.processed else None

    def _reply(self) -> Reply:
        return refusal_reply(RefusalError(self.status, self.message))


@dataclass(frozen=True)
class TooManyRequests(Fault):
    """429 with a Retry-After of so many seconds."""

    retry_after: int = 1

    def instead(self, request: Request) -> Reply:
        message = "We had to rate limit you. If you think it's an error, send us an email"
        return refusal_reply(RefusalError(429, message, headers={"Retry-After": str(self.retry_after)}))


@dataclass(frozen=True)
class Drop(Fault):
    """The connection ends without any answer, by FIN or RST. With `processed` only the answer is lost."""

    reset: bool = False
    processed: bool = False

    def instead(self, request: Request) -> Reply | None:
        return None if self.processed else self._reply()

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        return self._reply() if self.processed else None

    def _reply(self) -> Reply:
        return Reply(0, delivery=Delivery(head=False, ending="reset" if self.reset else "close"))


@dataclass(frozen=True)
class Content(Fault):
    """200 with a content of the test's own."""

    body: bytes
    type: str = "application/json"

    def instead(self, request: Request) -> Reply:
        return Reply(200, self.body, {"Content-Type": self.type})


def html_page() -> Content:
    """A captive portal's page where JSON or a file was expected."""
    return Content(HTML, "text/html; charset=utf-8")


def json_content(value: object) -> Content:
    return Content(json.dumps(value).encode())


@dataclass(frozen=True)
class Redirect(Fault):
    """A redirect to another URL, such as `hub.elsewhere`."""

    url: str
    status: int = 302

    def instead(self, request: Request) -> Reply:
        return Reply(self.status, b"", {"Location": self.url})


# The hub's answer, spoiled on the wire


@dataclass(frozen=True)
class _Interrupted(Fault):
    after: int | None = None
    """Body bytes sent before it happens; None is half of them."""

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if not has_content(request, reply):
            return None
        after = len(reply.body) // 2 if self.after is None else self.after
        return replace(reply, delivery=self._delivery(after))

    def _delivery(self, after: int) -> Delivery:
        raise NotImplementedError


@dataclass(frozen=True)
class Cut(_Interrupted):
    """The connection is closed (FIN) in the middle of the body."""

    def _delivery(self, after: int) -> Delivery:
        return Delivery(stop_after=after, ending="close")


@dataclass(frozen=True)
class Reset(_Interrupted):
    """The connection is reset (RST) in the middle of the body."""

    def _delivery(self, after: int) -> Delivery:
        return Delivery(stop_after=after, ending="reset")


@dataclass(frozen=True)
class Stall(_Interrupted):
    """The body stops coming and the connection stays open."""

    def _delivery(self, after: int) -> Delivery:
        return Delivery(stop_after=after, ending="stall")


@dataclass(frozen=True)
class NoLength(_Interrupted):
    """No Content-Length, and the connection ends in the middle of the body: nobody can tell from the stream."""

    def _delivery(self, after: int) -> Delivery:
        return Delivery(stop_after=after, ending="close", announced="unknown")


@dataclass(frozen=True)
class Drip(Fault):
    """The body comes at so many bytes per second, a tenth of that at a time."""

    bytes_per_second: int

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if not has_content(request, reply):
            return None
        return replace(reply, delivery=Delivery(chunk=max(1, self.bytes_per_second // 10), pause=0.1))


@dataclass(frozen=True)
class WrongLength(Fault):
    """The Content-Length is off by so many bytes; the body is the true one, and then the connection ends."""

    difference: int

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if not has_content(request, reply):
            return None
        return replace(reply, delivery=Delivery(announced=len(reply.body) + self.difference, ending="close"))


# The hub's answer, spoiled in its content


@dataclass(frozen=True)
class FlippedByte(Fault):
    """One byte of the body is another one."""

    position: int = -1

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if not has_content(request, reply):
            return None
        return replace(reply, body=damaged(reply.body, self.position))


@dataclass(frozen=True)
class LyingSize(Fault):
    """The file has another size: X-Linked-Size, Content-Length and body agree on it (cut, or padded with zeros).

    Planned for HEAD and GET it is a consistent lie; for GET alone, a body that is not what HEAD announced.
    """

    size: int

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if reply.status == 302 and "X-Linked-Size" in reply.headers:
            return reply.with_headers(X_Linked_Size=str(self.size))
        if reply.status != 200:
            return None
        return replace(reply, body=reply.body[: self.size].ljust(self.size, b"\0"))


@dataclass(frozen=True)
class Header(Fault):
    """A header of a successful answer has another value, or with None is not there."""

    name: str
    value: str | None

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if reply.status >= 400:
            return None
        others = {name: value for name, value in reply.headers.items() if name.lower() != self.name.lower()}
        return replace(reply, headers=others if self.value is None else {**others, self.name: self.value})


@dataclass(frozen=True)
class ChangedETag(Fault):
    """ETag and X-Linked-ETag of a file are those of another content."""

    digit: str = "0"

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        etags = {name: value for name, value in reply.headers.items() if name in ("ETag", "X-Linked-ETag")}
        if not etags:
            return None
        changed = {name: f'"{self.digit * len(value.strip(chr(34)))}"' for name, value in etags.items()}
        return replace(reply, headers={**reply.headers, **changed})


@dataclass(frozen=True)
class IgnoredRange(Fault):
    """A range was asked for, and the whole file comes."""

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if reply.whole is None:
            return None
        headers = {name: value for name, value in reply.headers.items() if name != "Content-Range"}
        return Reply(200, reply.whole, headers)


@dataclass(frozen=True)
class WrongRange(Fault):
    """A range was asked for, and as many bytes come from the start of the file."""

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if reply.whole is None:
            return None
        return replace(reply, body=reply.whole[: len(reply.body)])


# Storage that accepts an upload and does not keep it


@dataclass(frozen=True)
class LostWrite(Fault):
    """The upload is answered with 200, and the object is not there; give it `hub.objects`."""

    objects: MutableMapping[str, bytes]

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        if request.method != "PUT" or reply.status != 200:
            return None
        self.objects.pop(request.path.rsplit("/", 1)[-1], None)
        return reply


@dataclass(frozen=True)
class CorruptedWrite(Fault):
    """The upload is answered with 200, and one byte of the object is another one; give it `hub.objects`."""

    objects: MutableMapping[str, bytes]

    def spoil(self, request: Request, reply: Reply) -> Reply | None:
        oid = request.path.rsplit("/", 1)[-1]
        if request.method != "PUT" or reply.status != 200 or oid not in self.objects:
            return None
        self.objects[oid] = damaged(self.objects[oid], -1)
        return reply


def damaged(content: bytes, position: int) -> bytes:
    """Return the content with all bits of one byte turned."""
    changed = bytearray(content)
    changed[position] ^= 0xFF
    return bytes(changed)
