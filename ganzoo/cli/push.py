"""`ganzoo push`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.confirmation import confirm
from ganzoo.cli.options import Json, Yes
from ganzoo.cli.output import human_size, out
from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from ganzoo.publishing.push import Package, Pushed


def push(
    source: Annotated[
        str | None, typer.Argument(metavar="REF", help="A run, a weights folder, or a name in the zoo.")
    ] = None,
    repo_id: Annotated[str | None, typer.Argument(metavar="OWNER/NAME", help="The repository on the Hub.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    license: Annotated[str | None, typer.Option(help="SPDX identifier, such as mit or cc-by-4.0.")] = None,
    tag: Annotated[str | None, typer.Option(help="Tag the commit, such as v1.")] = None,
    message: Annotated[str | None, typer.Option(help="Message of the commit.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")] = False,
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign with a private key (PEM; extra `sign`).")
    ] = None,
    zoo: Annotated[
        str | None, typer.Option(metavar="ORG", help="Publish every bundled entry, and pin it in the manifest.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="With --zoo: the manifest to write; default: the installed one.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every file and the card, and send nothing.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Publish weights on the Hugging Face Hub: one commit, read back and compared."""
    from ganzoo.publishing.push import prepare, send
    from ganzoo.release.publish import publish_zoo

    if zoo is not None:
        given = {"REF": source, "--license": license, "--tag": tag, "--message": message, "--sign": sign}
        unfit = [name for name, value in given.items() if value is not None] + ["--create-pr"] * create_pr
        if unfit:
            raise UsageError(f"--zoo does not go with {', '.join(unfit)}.", hint="The manifest says all that.")
        pushed = publish_zoo(
            zoo,
            manifest,
            private=private,
            approve=lambda packages: _approve(packages, private, dry_run, yes, json),
            report=lambda one: out.talk(f"{one.repo_id} is pushed and pinned at {one.commit}."),
        )
    else:
        if source is None or repo_id is None:
            raise UsageError("name what to push, and where to.", hint="ganzoo push ./my-run you/my-gan")
        package = prepare(source, repo_id, license=license, sign_with=sign)
        pushed = []
        if _approve([package], private, dry_run, yes, json):
            pushed = [send(package, private=private, tag=tag, message=message, create_pr=create_pr)]
    if not dry_run:
        _report(pushed, json)


def _approve(packages: list[Package], private: bool, dry_run: bool, yes: bool, json: bool) -> bool:
    """Show what would be sent; return whether to send it. Raises UsageError where nobody can be asked."""
    if dry_run:
        _show(packages, json)
        return False
    if not private:
        names = ", ".join(package.repo_id for package in packages)
        confirm(f"Publish {names} for everybody to see?", yes)
    return True


def _show(packages: list[Package], json: bool) -> None:
    sizes = {package.repo_id: {name: len(content) for name, content in package.files.items()} for package in packages}
    if json:
        cards = {package.repo_id: package.files["README.md"].decode() for package in packages}
        out.json([{"repo_id": name, "files": files, "card": cards[name]} for name, files in sizes.items()])
        return
    for package in packages:
        rows = [(name, human_size(size)) for name, size in sizes[package.repo_id].items()]
        out.table(package.repo_id, ["file", "size"], rows)
        out.line("")
        out.line(package.files["README.md"].decode())


def _report(pushed: list[Pushed], json: bool) -> None:
    if json:
        out.json([asdict(one) for one in pushed])
        return
    for one in pushed:
        out.line(one.url)
        out.talk(f"Pushed, read back and compared. Load it: ganzoo.load('hf:{one.repo_id}@{one.tag or one.commit}')")
