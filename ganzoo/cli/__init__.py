"""The command line. One file for each command or group; torch is imported only inside those that need it."""

from __future__ import annotations

import io
import os
import sys
from traceback import walk_tb
from typing import Annotated

import typer

from ganzoo.cli import (
    animate,
    bench,
    cache,
    completion,
    data,
    demo,
    doctor,
    evaluate,
    export,
    importing,
    listing,
    neighbours,
    plugins,
    project,
    pull,
    push,
    report,
    reproduce,
    resume,
    rm,
    sample,
    show,
    train,
    verify,
    zoo,
)
from ganzoo.cli.group import MORE, SHARE, TRAIN, USE, MainGroup
from ganzoo.cli.output import named_stdout, out
from ganzoo.distributed.torchrun import is_main_process
from ganzoo.errors import GanzooError, HubTimeoutError, OtherProcessError, hint_for, shortened
from ganzoo.guard import report_to, third_party_origin
from ganzoo.version import __version__

app = typer.Typer(
    name="ganzoo",
    cls=MainGroup,
    add_completion=False,  # `ganzoo completion`, which is faster
    help="Train, evaluate, sample and share generative adversarial networks.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # plain help, as long as its text, which needs no import of rich
)

app.command("list", rich_help_panel=USE)(listing.list_)
app.command("show", rich_help_panel=USE)(show.show)
app.command("pull", rich_help_panel=SHARE)(pull.pull)
app.command("sample", rich_help_panel=USE)(sample.sample)
app.command("project", rich_help_panel=USE)(project.project)
app.command("eval", rich_help_panel=USE)(evaluate.eval_)
app.command("neighbours", rich_help_panel=USE)(neighbours.neighbours)
app.command("demo", rich_help_panel=USE)(demo.demo)
app.command("export", rich_help_panel=SHARE)(export.export)
app.command("verify", rich_help_panel=SHARE)(verify.verify)
app.command("rm", rich_help_panel=SHARE)(rm.rm)
app.command("push", rich_help_panel=SHARE)(push.push)
app.command("import", rich_help_panel=SHARE)(importing.import_)
app.command("train", rich_help_panel=TRAIN)(train.train)
app.command("resume", rich_help_panel=TRAIN)(resume.resume)
app.command("animate", rich_help_panel=TRAIN)(animate.animate)
app.command("report", rich_help_panel=TRAIN)(report.report)
app.command("reproduce", rich_help_panel=MORE)(reproduce.reproduce)
app.command("bench", rich_help_panel=MORE)(bench.bench)
app.add_typer(data.app, name="data", rich_help_panel=MORE)
app.add_typer(cache.app, name="cache", rich_help_panel=MORE)
app.command("protocols", rich_help_panel=MORE)(evaluate.protocols)
app.add_typer(plugins.app, name="plugins", rich_help_panel=MORE)
app.command("doctor", rich_help_panel=MORE)(doctor.doctor)
app.command("env", rich_help_panel=MORE)(doctor.env)
app.command("completion", rich_help_panel=MORE)(completion.completion)
app.add_typer(zoo.app, name="zoo", hidden=True)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            torch = version("torch")
        except PackageNotFoundError:
            torch = "not installed"
        out.line(f"ganzoo {__version__}, torch {torch}, Python {sys.version.split()[0]}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def ganzoo(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print versions.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    out.silent = not is_main_process()
    out.quiet = quiet or out.silent
    if context.invoked_subcommand is None and not out.silent:
        typer.echo(context.get_help())


def main() -> None:
    """Run the program and exit: 0 success, 1 failure, 2 wrong usage, 130 interrupted."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed, as in `ganzoo list >&-`
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without "×" in its encoding shows "?"
    try:
        try:
            app(_rearranged(sys.argv[1:]))
        finally:
            _flush_stdout()
    except Exception as error:
        if os.environ.get("GANZOO_DEBUG") == "1":
            raise
        code = _report(error)
        if isinstance(error, HubTimeoutError):
            # Threads of the Hub client may wait for an hour, and a normal exit would wait for them.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        sys.exit(code)


def _flush_stdout() -> None:
    """Write what is buffered, so that an output that cannot be written fails here and not while Python exits.

    Raises OSError, except for a reader that has gone away, as `head` does.
    """
    try:
        with named_stdout():
            sys.stdout.flush()
    except OSError as error:
        # Python flushes once more when it exits, and would report the same with an exit code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def _rearranged(arguments: list[str]) -> list[str]:
    """Accept -q at any position, although it is an option of the program, and `help COMMAND` and `version`."""
    quiet = [argument for argument in arguments if argument in ("-q", "--quiet")]
    others = [argument for argument in arguments if argument not in quiet]
    match others:
        case ["version"]:
            others = ["--version"]
        case ["help", *path]:
            others = [*path, "--help"]
    return quiet[:1] + others


def _report(error: Exception) -> int:
    """Print an error in two lines, and return the exit code."""
    if isinstance(error, GanzooError):
        if not isinstance(error, OtherProcessError):
            out.error(error)
        return error.exit_code
    if isinstance(error, OSError) and error.strerror:
        path = f"{shortened(error.filename, 250)}: " if error.filename else ""
        out.problem(f"{path}{error.strerror}.", hint_for(error))
        return 1
    package = _broken_package(error)
    if package is not None:
        out.problem(f"{package} cannot be imported: {error}.", f"Install it again: pip install {package}")
        return 1
    if isinstance(error, MemoryError):
        out.problem("there is not enough memory.", "Ask for less at once, or use a machine with more memory.")
        return 1
    if isinstance(error, RecursionError):
        out.problem("a file is nested too deeply to be read.", "Check the files that the command was given.")
        return 1
    plugin = third_party_origin(error)
    if plugin is not None:
        out.problem(f"{plugin}: unexpected {type(error).__name__}: {error}.", report_to(plugin))
        return 1
    out.problem(
        f"unexpected {type(error).__name__}: {error}.",
        "This is a bug in ganzoo. Please report it with the traceback that GANZOO_DEBUG=1 prints.",
    )
    return 1


def _broken_package(error: Exception) -> str | None:
    """Return the package, such as torch, that is missing or fails while it is imported; None for any other error."""
    found = error.name if isinstance(error, ImportError) else None
    if found is None:
        modules = [frame.f_globals for frame, _ in walk_tb(error.__traceback__) if frame.f_code.co_name == "<module>"]
        found = modules[-1].get("__name__", "") if modules else ""
    package = found.partition(".")[0]
    return None if package in ("", "__main__") or package.startswith("ganzoo") else package
