"""Where the Hub is: its address or that of a mirror, the proxy on the way, and what counts as the same place."""

from __future__ import annotations

from urllib.parse import urlsplit

from ganzoo.errors import UsageError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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
    return proxy if "://" in proxy else f"http://{proxy}"
