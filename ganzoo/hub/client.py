"""What every conversation with the Hub needs: an endpoint to trust, an answer in time, and errors in one line.

The client's exceptions belong to httpx in version 1 of huggingface_hub and to httpx2 in version 2, so errors are told
apart by the classes of `huggingface_hub.errors` and by status, never by those of the transport.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ganzoo.errors import GanzooError, HubError, HubTimeoutError, UsageError
from ganzoo.version import __version__

LIBRARY: dict[str, str] = {"library_name": "ganzoo", "library_version": __version__}
"""Named in every request, as the Hub asks of libraries."""

CONNECT_SECONDS = 2.5
"""How long the Hub may take to accept a connection before we say that it cannot be reached."""
READ_SECONDS = 10.0
"""How long the Hub may be silent within an answer."""
ATTEMPTS = 3
"""Tries of anything that may fail for a moment."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class TransientError(Exception):
    """Wrong or missing bytes that another try may bring right."""


def endpoint() -> str:
    """Return the Hub's address, which HF_ENDPOINT may change to a mirror. Raises UsageError for one not to trust."""
    from huggingface_hub import constants

    address = str(constants.ENDPOINT)
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise UsageError("HF_ENDPOINT holds a user name or password.", hint="Use HF_TOKEN or `hf auth login` instead.")
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise UsageError(f"HF_ENDPOINT is {address}, which is not https.", hint="Name an https address.")
    return address


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids all requests."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


Result = TypeVar("Result")


def within(seconds: float, what: str, action: Callable[[], Result]) -> Result:
    """Return what an action returns, or raise HubError when it takes longer, however busy the other side keeps it.

    The client has no deadline of its own, so the action runs in a thread that is left behind when its time is up.
    """
    outcome: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            outcome.append((True, action()))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise HubTimeoutError(
            f"{what} took longer than {seconds:.0f} s.",
            hint="Try again in a while, or allow more time with GANZOO_HUB_SECONDS.",
        )
    done, value = outcome[0]
    if done:
        return value
    raise value


def allowed_seconds(default: float) -> float:
    """Return GANZOO_HUB_SECONDS, or a default."""
    chosen = os.environ.get("GANZOO_HUB_SECONDS", "")
    return float(chosen) if chosen.replace(".", "", 1).isdigit() else default


def check_reachable() -> None:
    """Find out within seconds whether anyone answers there; the client itself would try for half a minute.

    Raises HubError, UsageError.
    """
    target = urlsplit(_proxy() or endpoint())
    port = target.port or (443 if target.scheme == "https" else 1080 if target.scheme.startswith("socks") else 80)
    try:
        # Looking up a name has no timeout of its own.
        within(
            CONNECT_SECONDS,
            "connecting",
            lambda: socket.create_connection((target.hostname or "", port), timeout=CONNECT_SECONDS).close(),
        )
    except (OSError, HubError):
        raise unreachable() from None


def unreachable() -> HubError:
    """Return the error for a Hub that does not answer."""
    return HubError(
        f"the Hub cannot be reached at {endpoint()}.",
        hint="Check the network, or HF_ENDPOINT if you use a mirror; what is in the store needs neither.",
    )


def _proxy() -> str | None:
    """Return the proxy that requests to the Hub go through, or None. Raises UsageError for one that must not."""
    target = urlsplit(endpoint())
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(target.hostname or ""):
        return None
    if target.scheme == "http":
        raise UsageError(
            f"a proxy would see your token on the way to {endpoint()}.", hint=f"Set NO_PROXY={target.hostname}."
        )
    return proxy if "://" in proxy else f"http://{proxy}"


@contextmanager
def hub_errors(repo_id: str) -> Iterator[None]:
    """Turn what the client raises into one line and its mend. Raises HubError."""
    try:
        yield
    except GanzooError:
        raise
    except Exception as error:
        raise translated(error, repo_id) from error


def translated(error: Exception, repo_id: str) -> GanzooError:
    """Return what to say about an exception of the client."""
    from huggingface_hub import errors

    page = f"{endpoint()}/{repo_id}"
    if isinstance(error, errors.GatedRepoError):
        return HubError(f"{repo_id} is gated.", hint=f"Ask for access at {page}, then: hf auth login")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubError(
            f"there is no {repo_id} on the Hub, or it is private.",
            hint="Check the name; for a private repository: hf auth login, or set HF_TOKEN.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(f"{repo_id} has no such revision.", hint=f"See its branches and tags at {page}/tree/main")
    if isinstance(error, errors.EntryNotFoundError):
        return HubError(f"{repo_id} lacks a file that it listed.", hint="Try again; if it stays, tell its owner.")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubError("HF_HUB_OFFLINE forbids requests.", hint="Unset it to use the Hub.")
    if isinstance(error, errors.HFValidationError):
        return UsageError(f"{repo_id!r} is no name of a repository.", hint="Write owner/name.")
    if "xet-write-token" in str(error):
        return HubError(f"{repo_id}: this server has no Xet storage.", hint="Set HF_HUB_DISABLE_XET=1 and push again.")
    status = status_of(error)
    if status in (401, 403):
        return HubError(
            f"the Hub does not let you do that with {repo_id} (status {status}).",
            hint="Check your token and its rights: hf auth whoami, hf auth login.",
        )
    if status is not None:
        reason = " ".join(str(error).split())[:160]
        return HubError(f"the Hub answered with status {status}: {reason}", hint="Try again in a while.")
    if is_network(error):
        return unreachable()
    return HubError(f"{repo_id}: {type(error).__name__}: {' '.join(str(error).split())[:160]}", hint="Try again.")


def status_of(error: Exception) -> int | None:
    """Return the HTTP status behind an exception, or None."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def is_network(error: Exception) -> bool:
    """Whether the transport failed: refused, reset, timed out, or cut short."""
    return type(error).__module__.startswith(("httpx", "httpcore")) or isinstance(error, ConnectionError | TimeoutError)


def persistently(action: Callable[[], Result], deadline: float) -> Result:
    """Try an action up to three times while its failure may pass, waiting longer each time, until the deadline.

    `deadline` is a time of `time.monotonic`. Raises what the last try raised.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except Exception as error:
            pause = _pause(error, attempt)
            if attempt == ATTEMPTS or pause is None or time.monotonic() + pause > deadline:
                raise
            time.sleep(pause)
    raise AssertionError("unreachable")


def _pause(error: Exception, attempt: int) -> float | None:
    """Return how long to wait before another try; None when another would not help."""
    status = status_of(error)
    if not (isinstance(error, TransientError) or status in _TRANSIENT or (status is None and is_network(error))):
        return None
    asked: Any = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After")
    if isinstance(asked, str) and asked.isdigit():
        return float(asked)
    return float(0.5 * 2**attempt * random.uniform(0.5, 1))
