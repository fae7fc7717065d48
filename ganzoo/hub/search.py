"""Repositories with the tag `ganzoo`."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Any

from ganzoo.errors import HubError
from ganzoo.hub import client
from ganzoo.hub.client import LIBRARY, hub_errors

MOST = 200
"""Most repositories that are listed."""


@dataclass(frozen=True)
class Found:
    """A repository, by its card."""

    repo_id: str
    downloads: int
    datasets: tuple[str, ...]
    metrics: tuple[str, ...]
    """`name value`, each with its protocol."""


def search(pattern: str = "") -> list[Found]:
    """Return the ganzoo repositories whose name contains a text or matches a shell pattern. Raises HubError."""
    from huggingface_hub import HfApi

    if client.is_offline():
        raise HubError("HF_HUB_OFFLINE forbids requests.", hint="Unset it to search the Hub.")
    api = HfApi(endpoint=client.endpoint(), **LIBRARY)  # type: ignore[arg-type]
    with hub_errors("the Hub"):
        client.check_reachable()
        text = max(re.split(r"[*?\[\]]", pattern), key=len) or None  # the Hub searches for plain text, not for patterns
        models = client.with_timeout(
            client.allowed_seconds(30),
            "searching the Hub",
            lambda: list(api.list_models(filter="ganzoo", search=text, limit=MOST, full=True, cardData=True)),
        )
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return [_found(model) for model in models if fnmatch.fnmatchcase(model.id.lower(), f"*{wanted.lower()}")]


def _found(model: Any) -> Found:
    card = model.card_data
    results = (getattr(card, "eval_results", None) or []) if card is not None else []
    datasets = (getattr(card, "datasets", None) or []) if card is not None else []
    return Found(
        repo_id=model.id,
        downloads=model.downloads or 0,
        datasets=tuple(str(name) for name in ([datasets] if isinstance(datasets, str) else datasets)),
        metrics=tuple(f"{result.metric_name or result.metric_type} {result.metric_value}" for result in results),
    )
