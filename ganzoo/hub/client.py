"""Requests to the Hub: who asks, how long an answer may take, how often it is asked for, and who gets the token."""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from ganzoo.errors import HubError, HubTimeoutError, MissingWeightsError, UsageError, shortened
from ganzoo.hub.endpoint import endpoint, is_offline, origin, proxy
from ganzoo.hub.errors import is_transient, not_a_hub, unreachable
from ganzoo.version import __version__
from ganzoo.weights.store import Store

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LIBRARY: dict[str, str] = {"library_name": "ganzoo", "library_version": __version__}
"""Named in every request, as the Hub asks of libraries."""

CONNECT_SECONDS = 2.5
"""How long the Hub may take to accept a connection before it counts as unreachable."""
READ_SECONDS = 10.0
"""How long the Hub may be silent within an answer."""
SILENCE_SECONDS = 5.0
"""How long a request may take before a line on stderr says what it waits for."""
MAX_JSON_BYTES = 32 << 20
"""The longest answer of the API, or error page, that is read."""
MAX_REDIRECTS = 8
ATTEMPTS = 3
"""How often a request with a transient failure is sent."""


logger = logging.getLogger("ganzoo")
"""Without any set-up, Python prints its warnings on stderr."""

Progress = Callable[[str, int, int], None]
"""(path, bytes so far, bytes in all): never goes backwards for a path."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who downloads, and where to."""

    store: Store = field(default_factory=Store)
    """Where verified files go; default: GANZOO_HOME."""
    token: str | bool | None = None
    """A token; None takes the one of HF_TOKEN or `hf auth login`, False takes none."""
    offline: bool = False
    """Whether to use the store alone; HF_HUB_OFFLINE forbids requests in any case."""
    progress: Progress | None = None
    """Called while bytes arrive."""


class Deadline:
    """A time after which a transfer is given up, even while bytes still arrive."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = time.monotonic() + seconds
        """A time of `time.monotonic`."""

    def remaining(self) -> float:
        """Return the seconds that are left, at least 0.1."""
        return max(0.1, self.at - time.monotonic())

    def check(self, what: str) -> None:
        """Raise HubTimeoutError when the time is up."""
        if time.monotonic() > self.at:
            raise _timed_out(what, self.seconds)


def _timed_out(what: str, seconds: float) -> HubTimeoutError:
    return HubTimeoutError(
        f"{what} took longer than {seconds:.0f} s.",
        hint="Try again in a while, or allow more time with GANZOO_HUB_SECONDS.",
    )


def check_online(what: str, access: Access) -> None:
    """Raise MissingWeightsError when the Hub must not be asked for these weights."""
    if access.offline or is_offline():
        reason = "local_files_only" if access.offline else "HF_HUB_OFFLINE"
        raise MissingWeightsError(
            f"{what} has to be downloaded, but {reason} forbids asking the Hub.",
            hint="Pull it once without that; after that it needs no network.",
        )


Result = TypeVar("Result")


def with_timeout(seconds: float, what: str, action: Callable[[], Result], *, is_shown: bool = False) -> Result:
    """Return what an action returns, or raise HubTimeoutError when it takes longer.

    The client only limits how long the other side is silent: a line of headers every few seconds would keep it waiting
    for ever. So the action runs in a thread, which is left behind when its time is up. After five seconds a line on
    stderr says what it waits for, unless a progress bar already does (`is_shown`).
    """
    outcome: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            outcome.append((True, action()))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(min(seconds, SILENCE_SECONDS))
    if not outcome and seconds > SILENCE_SECONDS:
        if not is_shown:
            logger.warning("Waiting for the Hub: %s ...", what)
        thread.join(seconds - SILENCE_SECONDS)
    if not outcome:
        raise _timed_out(what, seconds)
    done, value = outcome[0]
    if done:
        return value
    raise value


def allowed_seconds(default: float) -> float:
    """Return GANZOO_HUB_SECONDS, or a default. Raises UsageError for anything but a number of seconds."""
    text = os.environ.get("GANZOO_HUB_SECONDS")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise UsageError(f"GANZOO_HUB_SECONDS is {text!r}.", hint="Set it to a number of seconds, such as 600.")
    return seconds


def check_reachable() -> None:
    """Connect once, within seconds: the client itself would try for half a minute. Raises HubError, UsageError."""
    target = urlsplit(proxy() or endpoint())
    port = target.port or (443 if target.scheme == "https" else 1080 if target.scheme.startswith("socks") else 80)
    try:
        # Looking up a name has no timeout of its own.
        with_timeout(
            CONNECT_SECONDS,
            "connecting",
            lambda: socket.create_connection((target.hostname or "", port), timeout=CONNECT_SECONDS).close(),
        )
    except (OSError, HubError):
        raise unreachable() from None


@contextmanager
def get(url: str, token: str | bool | None, check: Callable[[Mapping[str, str]], None] | None = None) -> Iterator[Any]:
    """Request an address of the Hub and yield the response, whose body is not read yet.

    Redirects are followed here, not by the client: version 1 of it sends the token to every port of the Hub's host.
    Only the endpoint's own origin gets it, and `check` sees the headers of these responses before a redirect is
    followed. Raises what the client raises, and HubError for too many redirects.
    """
    from huggingface_hub import get_session, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # not marked as exported

    home, is_ours = origin(endpoint()), True
    for _ in range(MAX_REDIRECTS):
        is_ours = is_ours and origin(url) == home  # an address that another server names never gets the token again
        headers = build_hf_headers(token=token if is_ours else False, **LIBRARY)  # type: ignore[arg-type]
        headers["Accept-Encoding"] = "identity"
        with get_session().stream(
            "GET",
            url,
            headers=headers,
            timeout=READ_SECONDS,
            follow_redirects=False,
            extensions={_STREAMED: True},
        ) as response:
            if response.is_error:
                limit_answer(response)  # the client reads what the Hub says about it
            hf_raise_for_status(response)
            if is_ours and check is not None:
                check(response.headers)
            if response.next_request is None:
                yield response
                return
            url = str(response.next_request.url)
    raise HubError(f"{shortened(url)} redirects without end.", hint=_MIRROR)


_MIRROR = "Check HF_ENDPOINT; try again without a mirror."


def get_json(path: str, token: str | bool | None, what: str, **query: str) -> Any:
    """Return what the Hub's API answers, within 30 s.

    Raises HubError for an answer that is too long or not JSON, and what the client raises.
    """
    deadline = Deadline(allowed_seconds(30))

    def attempt() -> Any:
        content = bytearray()
        with get(f"{endpoint()}{path}?{urlencode(query)}", token) as response:
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > MAX_JSON_BYTES:
                    raise _too_long()
                deadline.check(what)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise not_a_hub() from error

    return with_timeout(deadline.seconds, what, lambda: with_retries(attempt, deadline))


def hub_api(token: str | bool | None) -> HfApi:
    """Return the client's API, with limits on our own requests that hold for every session the client opens.

    Our token goes to the endpoint's origin alone, whatever an answer links to, and an answer has at most
    MAX_JSON_BYTES, although the client reads it as a whole.
    """
    from huggingface_hub import HfApi, set_client_factory
    from huggingface_hub.utils import _http

    # The client opens another session when a connection fails. The factory may be the user's own, with certificates or
    # proxies, so it is wrapped; there is no public way to ask for it.
    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None) or _http.default_client_factory
    if not isinstance(factory, _GuardedFactory):
        set_client_factory(_GuardedFactory(factory))
    return HfApi(endpoint=endpoint(), token=token, **LIBRARY)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _GuardedFactory:
    """Opens sessions that keep to our limits in our own requests; they serve other libraries too."""

    factory: Callable[[], Any]

    def __call__(self) -> Any:
        session = self.factory()
        session.event_hooks["request"].append(_guard_request)
        session.event_hooks["response"].append(_guard_response)
        return session


def _is_ours(request: Any) -> bool:
    # The client sends files to storage servers without a name.
    return bool(request.headers.get("User-Agent", "").startswith("ganzoo/")) or request.method == "PUT"


def _guard_request(request: Any) -> None:
    if _is_ours(request):
        request.headers["Accept-Encoding"] = "identity"  # a compressed answer has no limit
        if origin(str(request.url)) != origin(endpoint()):
            request.headers.pop("Authorization", None)


def _guard_response(response: Any) -> None:
    """Limit the answers that the client reads as a whole: all but those of `get`, which counts for itself."""
    if _is_ours(response.request) and _STREAMED not in response.request.extensions:
        limit_answer(response)


_STREAMED = "ganzoo.streamed"
"""Marks requests whose answer is read by our own loops, which count."""


def limit_answer(response: Any) -> None:
    """Make a compressed answer, or one of more than MAX_JSON_BYTES, an error when it is read. Raises HubError."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise not_a_hub()
    transport = import_module(type(response).__module__.partition(".")[0])  # httpx, or httpx2 in version 2

    class Limited(transport.SyncByteStream):  # type: ignore[misc,name-defined]
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __iter__(self) -> Iterator[bytes]:
            count = 0
            for chunk in self.stream:
                count += len(chunk)
                if count > MAX_JSON_BYTES:
                    raise _too_long()
                yield chunk

        def close(self) -> None:
            self.stream.close()

    response.stream = Limited(response.stream)


def _too_long() -> HubError:
    return HubError(f"{endpoint()} answers with more than {MAX_JSON_BYTES:,} bytes.", hint=_MIRROR)


def with_retries(action: Callable[[], Result], deadline: Deadline) -> Result:
    """Try an action up to three times, as long as its failure is transient, waiting longer each time.

    Raises what the last try raised.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except Exception as error:
            pause = _pause(error, attempt)
            if attempt == ATTEMPTS or pause is None or time.monotonic() + pause > deadline.at:
                raise
            time.sleep(pause)
    raise AssertionError("unreachable")


def _pause(error: Exception, attempt: int) -> float | None:
    """Return how long to wait before another try; None when another would not help."""
    if not is_transient(error):
        return None
    asked: Any = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After")
    if isinstance(asked, str) and asked.isdecimal():
        return float(asked)
    return float(0.5 * 2**attempt * random.uniform(0.5, 1))
