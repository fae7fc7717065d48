"""The exceptions of the Hub's client in one line each.

They belong to httpx in version 1 of huggingface_hub and to httpx2 in version 2, so they are told apart by the classes
of `huggingface_hub.errors` and by status, never by those of the transport.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ganzoo.errors import GanzooError, HubError, UsageError, hint_for, shortened
from ganzoo.hub.endpoint import endpoint

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class TransientError(Exception):
    """Wrong or missing bytes; another try may succeed."""


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

    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # "Error while uploading"
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
        return HubError(f"the Hub answered with status {status}: {shortened(error)}", hint="Try again in a while.")
    if is_network(error):
        return unreachable()
    if isinstance(error, TransientError):
        return HubError(f"{repo_id}: {shortened(error)}.", hint="Try again in a while.")
    if isinstance(error, UnicodeEncodeError):  # headers are ASCII, and all others are ours
        return HubError("the token holds letters that no token has.", hint="Check HF_TOKEN, or: hf auth login")
    if isinstance(error, (LookupError, TypeError, AttributeError, ValueError, RecursionError)):
        return not_a_hub()  # JSON of another form, for which the client has no errors of its own
    if isinstance(error, OSError) and error.errno is not None:
        return HubError(f"{repo_id}: {error.strerror}.", hint=hint_for(error))
    return HubError(f"{repo_id}: {type(error).__name__}: {shortened(error)}", hint="Try again.")


def unreachable() -> HubError:
    """Return the error for a Hub that does not answer."""
    return HubError(
        f"the Hub cannot be reached at {endpoint()}.",
        hint="Check the network, or HF_ENDPOINT if you use a mirror. Weights in the store need neither.",
    )


def not_a_hub() -> HubError:
    """Return the error for an answer that no Hub gives."""
    return HubError(
        f"{endpoint()} does not answer as a Hub does (a login page?).",
        hint="Open a page in the browser to log in to the network; a mirror in HF_ENDPOINT must pass on all headers.",
    )


def status_of(error: Exception) -> int | None:
    """Return the HTTP status behind an exception, or None."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def is_network(error: Exception) -> bool:
    """Whether the transport failed: refused, reset, timed out, or cut short."""
    return type(error).__module__.startswith(("httpx", "httpcore")) or isinstance(error, ConnectionError | TimeoutError)


def is_transient(error: Exception) -> bool:
    """Whether another try may succeed."""
    status = status_of(error)
    return isinstance(error, TransientError) or status in _TRANSIENT or (status is None and is_network(error))
