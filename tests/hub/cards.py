"""Model cards: the YAML at the head of README.md, and what the hub makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

STRINGS = ("library_name", "pipeline_tag", "model_name", "thumbnail")
STRINGS_OR_LISTS = ("license", "datasets", "metrics", "tags", "language", "base_model")


def metadata(readme: str) -> dict[str, Any]:
    """Return the card's metadata; without any, or with a broken head, nothing."""
    try:
        value = yaml.safe_load(_head(readme) or "")
    except yaml.YAMLError:
        return {}
    return value if isinstance(value, dict) else {}


def problems(readme: str) -> tuple[list[str], list[str]]:
    """Return the errors that forbid a commit, and the warnings that do not."""
    head = _head(readme)
    if not head or not head.strip():
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        value = yaml.safe_load(head)
    except yaml.YAMLError as error:
        return [f"bad YAML: {' '.join(str(error).split())}"], []
    if not isinstance(value, dict):
        return ["the metadata must be a mapping"], []
    return _wrong_fields(value), []


def tags(card: Mapping[str, Any]) -> list[str]:
    """Return the tags that a card gives its repository, in the Hub's order; `list_models(filter=…)` looks here."""
    plain = [card.get("library_name"), card.get("pipeline_tag"), *_list(card.get("tags"))]
    prefixed = [f"dataset:{name}" for name in _list(card.get("datasets"))]
    prefixed += [f"license:{name}" for name in _list(card.get("license"))]
    return list(dict.fromkeys(str(tag) for tag in [*plain, *prefixed, "region:us"] if tag))


def _head(readme: str) -> str | None:
    lines = readme.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return None
    ends = [number for number, line in enumerate(lines) if number and line.strip() == "---"]
    return "\n".join(lines[1 : ends[0]]) if ends else None


def _wrong_fields(card: Mapping[str, Any]) -> list[str]:
    wrong = [f'"{key}" must be a string' for key in STRINGS if not isinstance(card.get(key, ""), str)]
    wrong += [
        f'"{key}" must be a string or a list of strings'
        for key in STRINGS_OR_LISTS
        if not all(isinstance(item, str) for item in _list(card.get(key)))
    ]
    index = card.get("model-index", [])
    if not isinstance(index, list) or not all(isinstance(m, dict) and {"name", "results"} <= m.keys() for m in index):
        wrong.append('"model-index" must be a list of models with "name" and "results"')
    return wrong


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
