"""The hub's refusals: for each, the status, the X-Error-Code and the message that clients tell apart."""

from __future__ import annotations

from collections.abc import Mapping


class RefusalError(Exception):
    """An answer that is not the one asked for; whoever raises it leaves the hub as it was."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        """More keys of the JSON body."""


def bad_request(message: str) -> RefusalError:
    return RefusalError(400, message)


def not_logged_in() -> RefusalError:
    return RefusalError(401, "Invalid username or password.")


def unknown_token() -> RefusalError:
    return RefusalError(401, "Invalid credentials in Authorization header")


def forbidden(message: str) -> RefusalError:
    return RefusalError(403, message)


def repo_not_found(*, with_token: bool) -> RefusalError:
    """A private repo is refused with the same words as one that does not exist."""
    if with_token:
        return RefusalError(404, "Repository not found", "RepoNotFound")
    return RefusalError(401, "Invalid username or password.", "RepoNotFound")


def gated_repo(repo_id: str, page: str, *, with_token: bool) -> RefusalError:
    if with_token:
        message = f"Access to model {repo_id} is restricted and you are not in the authorized list. "
        return RefusalError(403, f"{message}Visit {page} to ask for access.", "GatedRepo")
    message = f"Access to model {repo_id} is restricted. You must have access to it and be authenticated to access it."
    return RefusalError(401, f"{message} Please log in.", "GatedRepo")


def revision_not_found(revision: str) -> RefusalError:
    return RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(message: str, commit: str) -> RefusalError:
    return RefusalError(404, message, "EntryNotFound", headers={"X-Repo-Commit": commit})
