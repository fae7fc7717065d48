"""Repositories with the tag `ganzoo`."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganzoo.errors import BadReferenceError, HubError, shortened
from ganzoo.hub import client
from ganzoo.hub.endpoint import is_offline
from ganzoo.hub.errors import hub_errors, not_a_hub
from ganzoo.weights.references import parse_hub_reference

MOST = 200
"""Most repositories that are listed."""
MOST_PER_CARD = 20
"""Most datasets and metrics that are taken from one card."""


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
    if is_offline():
        raise HubError("HF_HUB_OFFLINE forbids requests.", hint="Unset it to search the Hub.")
    with hub_errors("the Hub"):
        client.check_reachable()
        text = max(re.split(r"[*?\[\]]", pattern), key=len)  # the Hub searches for plain text, not for patterns
        query = {"filter": "ganzoo", "limit": str(MOST), "full": "true", "cardData": "true"}
        query |= {"search": text} if text else {}
        models = client.get_json("/api/models", None, "searching the Hub", **query)
    if not isinstance(models, list):
        raise not_a_hub()
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    found = [_found(model) for model in _tables(models)[:MOST]]
    return [one for one in found if one is not None and fnmatch.fnmatchcase(one.repo_id.lower(), f"*{wanted.lower()}")]


def _found(model: Mapping[str, Any]) -> Found | None:
    """Read one row of the answer; None if nobody could pull it. Anyone may write a card, in any form."""
    try:
        repo_id = parse_hub_reference(str(model.get("id"))).repo_id
    except BadReferenceError:
        return None
    downloads, card = model.get("downloads"), model.get("cardData")
    card = card if isinstance(card, dict) else {}
    named = card.get("datasets")
    datasets = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    metrics = (
        f"{metric.get('name') or metric.get('type')} {metric.get('value')}"
        for index in _tables(card.get("model-index"))
        for result in _tables(index.get("results"))
        for metric in _tables(result.get("metrics"))
    )
    return Found(
        repo_id=repo_id,
        downloads=downloads if isinstance(downloads, int) else 0,
        datasets=tuple(shortened(name, 60) for name in datasets[:MOST_PER_CARD]),
        metrics=tuple(shortened(metric, 60) for metric in itertools.islice(metrics, MOST_PER_CARD)),
    )


def _tables(value: Any) -> list[dict[str, Any]]:
    """Return the tables of a list, nothing for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
