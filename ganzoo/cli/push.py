"""`ganzoo push`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import Json, Yes
from ganzoo.cli.output import confirm, out
from ganzoo.units import human_size

if TYPE_CHECKING:
    from ganzoo.publishing.push import Package, Pushed


def push(
    source: Annotated[
        str, typer.Argument(metavar="REF", help="A run, a weights folder, or a name from `ganzoo list`.")
    ],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Create a private repository.")] = False,
    license: Annotated[str | None, typer.Option(help="SPDX identifier, such as mit or cc-by-4.0.")] = None,
    tag: Annotated[str | None, typer.Option(help="Tag for the commit, such as v1.")] = None,
    message: Annotated[str | None, typer.Option(help="Commit message.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")] = False,
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign with a private key (PEM; extra `sign`).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files and model card without uploading.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Upload weights to the Hugging Face Hub, and verify the upload."""
    from ganzoo.sources import resolve

    resolve(source)  # reports a wrong name before torch is imported
    from ganzoo.publishing.push import prepare, send

    package = prepare(source, repo_id, license=license, sign_with=sign)
    if approve([package], private, dry_run, yes, json):
        report([send(package, private=private, tag=tag, message=message, create_pr=create_pr)], json)


def approve(packages: list[Package], private: bool, dry_run: bool, yes: bool, json: bool) -> bool:
    """Return whether to upload; a dry run shows the packages instead. Raises UsageError if it cannot ask."""
    if dry_run:
        _show(packages, json)
        return False
    if not private:
        names = ", ".join(package.repo_id for package in packages)
        confirm(f"Publish {names} for everyone to see?", f"not publishing {names} for everyone to see", yes)
    return True


def _show(packages: list[Package], json: bool) -> None:
    if json:
        documents = [
            {
                "repo_id": package.repo_id,
                "files": [{"path": name, "size": len(content)} for name, content in package.files.items()],
                "card": package.files["README.md"].decode(),
            }
            for package in packages
        ]
        out.json({"repositories": documents})
        return
    for package in packages:
        rows = [(name, human_size(len(content))) for name, content in package.files.items()]
        out.table(package.repo_id, ["file", "size"], rows)
        out.line("")
        out.line(package.files["README.md"].decode())


def report(pushed: list[Pushed], json: bool) -> None:
    """Print what was uploaded."""
    if json:
        documents = []
        for one in pushed:
            files = [{"path": path, "sha256": sha256} for path, sha256 in one.files.items()]
            documents.append({**asdict(one), "files": files})
        out.json({"repositories": documents})
        return
    for one in pushed:
        out.line(one.url)
        out.talk(f"Uploaded and verified. Load it with ganzoo.load('hf:{one.repo_id}@{one.tag or one.commit}')")
