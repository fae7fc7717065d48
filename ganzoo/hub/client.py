"""What every request to the Hub needs: an endpoint to trust, an answer in time, and errors in one line.

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
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ganzoo.errors import GanzooError, HubError, HubTimeoutError, MissingWeightsError, UsageError
from ganzoo.version import __version__
from ganzoo.weights.store import Store

LIBRARY: dict[str, str] = {"library_name": "ganzoo", "library_version": __version__}
"""Named in every request, as the Hub asks of libraries."""

CONNECT_SECONDS = 2.5
"""How long the Hub may take to accept a connection before it counts as unreachable."""
READ_SECONDS = 10.0
"""How long the Hub may be silent within an answer."""
ATTEMPTS = 3
"""How often a request with a transient failure is sent."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


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


class TransientError(Exception):
    """Wrong or missing bytes; another try may succeed."""


class Deadline:
    """A time after which a transfer is given up, even while bytes still arrive."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = time.monotonic() + seconds
        """A time of `time.monotonic`."""

    def remaining(self) -> float:
        """Return the seconds that are left, at least 0.1."""
        return max(0.1, self.at - time.monotonic())

    def check(self, path: str) -> None:
        """Raise HubError when the time is up."""
        if time.monotonic() > self.at:
            raise HubError(
                f"{path} did not arrive within {self.seconds:.0f} s.",
                hint="Try again on a faster network, or allow more time with GANZOO_HUB_SECONDS.",
            )


def endpoint() -> str:
    """Return the Hub's address, or that of a mirror in HF_ENDPOINT. Raises UsageError for an address not to trust."""
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


def check_online(what: str, access: Access) -> None:
    """Raise MissingWeightsError when the Hub must not be asked for these weights."""
    if access.offline or is_offline():
        reason = "local_files_only" if access.offline else "HF_HUB_OFFLINE"
        raise MissingWeightsError(
            f"{what} has to be downloaded, but {reason} forbids asking the Hub.",
            hint="Pull it once without that; after that it needs no network.",
        )


Result = TypeVar("Result")


def with_timeout(seconds: float, what: str, action: Callable[[], Result]) -> Result:
    """Return what an action returns, or raise HubTimeoutError when it takes longer.

    The client only limits how long the other side is silent, not a whole request. So the action runs in a thread, which
    is left behind when its time is up.
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
    target = urlsplit(_proxy() or endpoint())
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


def unreachable() -> HubError:
    """Return the error for a Hub that does not answer."""
    return HubError(
        f"the Hub cannot be reached at {endpoint()}.",
        hint="Check the network, or HF_ENDPOINT if you use a mirror. Weights in the store need neither.",
    )


def _proxy() -> str | None:
    """Return the proxy for requests to the Hub, or None. Raises UsageError when a token would be sent through it."""
    from urllib.request import getproxies, proxy_bypass  # here: takes 20 ms, which light commands do without

    target = urlsplit(endpoint())
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(target.hostname or ""):
        return None
    if target.scheme == "http":
        raise UsageError(
            f"a proxy would see your token on its way to {endpoint()}.", hint=f"Set NO_PROXY={target.hostname}."
        )
    return proxy if "://" in proxy else f"http://{proxy}"


@contextmanager
def hub_errors(repo_id: str) -> Iterator[None]:
    """Turn the client's exceptions into HubError, with a hint."""
    try:
        yield
    except GanzooError:
        raise
    except Exception as error:
        raise to_ganzoo_error(error, repo_id) from error


def to_ganzoo_error(error: Exception, repo_id: str) -> GanzooError:
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
        return HubError(
            f"{repo_id} lacks a file that it listed.",
            hint="Try again; if the error stays, report it to the repository's owner.",
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubError("HF_HUB_OFFLINE forbids requests.", hint="Unset it to use the Hub.")
    if isinstance(error, errors.HFValidationError):
        return UsageError(f"{repo_id!r} is not the name of a repository.", hint="Write owner/name.")
    if "xet-write-token" in str(error):
        return HubError(
            f"{repo_id}: this server does not have Xet storage.", hint="Set HF_HUB_DISABLE_XET=1 and push again."
        )
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
    status = status_of(error)
    if not (isinstance(error, TransientError) or status in _TRANSIENT or (status is None and is_network(error))):
        return None
    asked: Any = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After")
    if isinstance(asked, str) and asked.isdigit():
        return float(asked)
    return float(0.5 * 2**attempt * random.uniform(0.5, 1))
