"""Where the Hub is: its address or that of a mirror, the proxy on the way, and what counts as the same place."""

from __future__ import annotations

import os
from types import ModuleType
from urllib.parse import SplitResult, urlsplit

from ganzoo.errors import UsageError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def endpoint() -> str:
    """Return the Hub's address, or that of a mirror in HF_ENDPOINT. Raises UsageError for an address not to trust."""
    address = str(_constants().ENDPOINT)
    parts = _split(address, "HF_ENDPOINT")
    if parts.username or parts.password:
        raise UsageError("HF_ENDPOINT holds a user name or password.", hint="Use HF_TOKEN or `hf auth login` instead.")
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise UsageError(f"HF_ENDPOINT is {address}, which is not https.", hint="Name an https address.")
    return address


def _split(address: str, source: str) -> SplitResult:
    """Take an address apart. Raises UsageError for one that is malformed."""
    try:
        parts = urlsplit(address)
        is_whole = bool(parts.hostname) and parts.port != 0  # reading the port parses it
    except ValueError:
        is_whole = False
    if not is_whole or not address.isprintable():
        # Not repeated, because it may hold a password.
        raise UsageError(f"{source} is not an address.", hint="Write one such as https://name:8080.")
    return parts


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids all requests. Raises UsageError for a malformed HF_ENDPOINT."""
    return bool(_constants().HF_HUB_OFFLINE)


def _constants() -> ModuleType:
    # The client takes the address apart while it is imported; what it then raises looks like a broken installation.
    if address := os.environ.get("HF_ENDPOINT"):
        _split(address, "HF_ENDPOINT")
    from huggingface_hub import constants

    return constants


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of an address. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def proxy() -> str | None:
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
    address = proxy if "://" in proxy else f"http://{proxy}"
    _split(address, f"the proxy for {target.scheme}")
    return address
