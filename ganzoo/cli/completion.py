"""`ganzoo completion`, and which kind of value each option takes, for `ganzoo.completion`."""

from __future__ import annotations

import inspect
import typing
from enum import StrEnum
from typing import Annotated, Any

import typer

from ganzoo.cli.output import out

VALUES = {
    "reference": "references",
    "references": "references",
    "source": "references",
    "recipe": "recipes",
    "initial": "references",
    "architecture": "architectures",
    "loggers": "loggers",
    "run": "runs",
    "runs": "runs",
    "protocol": "protocols",
    "protocols": "protocols",
    "label": "classes",
    "device": "devices",
    "assignments": "settings",
    "kind": "kinds",
    "show name": "everything",
    "train target": "recipes",
    "list what": "kinds",
    "pull references": "models",
    "data prepare name": "datasets",
    "data show name": "datasets",
}
"""Parameter -> kind of its values in `ganzoo.completion`; with the command in front, of that command only."""


class Shell(StrEnum):
    """Shells with completion."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print a script that lets the shell complete names and options.

    For this session alone: eval "$(ganzoo completion bash)", or ganzoo completion fish | source.
    """
    out.line(_SCRIPTS[shell].strip())


_SCRIPTS = {
    # Words are split at blanks here: bash would also split them at "=" and ":", and expects only the part behind.
    Shell.bash: r"""
_ganzoo() {
    local line="${COMP_LINE:0:COMP_POINT}" words word current found
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    current="${words[-1]}"
    COMPREPLY=()
    local cut="${current%"${current##*[=:]}"}"
    while IFS=$'\t' read -r word found; do
        [[ "$word" == *= ]] && compopt -o nospace
        COMPREPLY+=("${word#"$cut"}")
    done < <(_GANZOO_COMPLETE=1 "${words[0]}" "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _ganzoo ganzoo
""",
    Shell.zsh: r"""
#compdef ganzoo
_ganzoo() {
    local -a lines plain open shown_plain shown_open
    local line word about
    lines=("${(@f)$(_GANZOO_COMPLETE=1 ${words[1]} "${(@)words[2,CURRENT-1]}" "${PREFIX}" 2>/dev/null)}")
    for line in $lines; do
        word="${line%%$'\t'*}" about="${line#*$'\t'}"
        if [[ $word == *= ]]; then
            open+=("$word") shown_open+=("$word  $about")
        elif [[ -n $word ]]; then
            plain+=("$word") shown_plain+=("$word  $about")
        fi
    done
    if (( ${#plain} + ${#open} == 0 )); then
        _files
        return
    fi
    (( ${#plain} )) && compadd -l -d shown_plain -a plain
    (( ${#open} )) && compadd -l -S '' -d shown_open -a open
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ganzoo "$@"
else
    compdef _ganzoo ganzoo
fi
""",
    Shell.fish: r"""
function __ganzoo_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (env _GANZOO_COMPLETE=1 $words[1] $words[2..] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c ganzoo -f -a '(__ganzoo_complete)'
""",
}


_HELP = {"names": ["--help", "-h"], "help": "Show this message.", "takes_value": False}


def command_tree(app: typer.Typer) -> dict[str, Any]:
    """Return every command with its options and arguments, and the settings of a training with their choices."""
    from typer.main import get_command

    from ganzoo.config import FIXED_FIELDS, TrainingSettings
    from ganzoo.specs import Recipe

    settings = {**_choices(Recipe), **_choices(TrainingSettings)}
    del settings["recipe"]
    commands: dict[str, Any] = {}

    def add(path: str, command: Any) -> None:
        types = typing.get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
        options, arguments = [], []
        for one in command.params:
            name = one.name or ""
            kinds = [types.get(name), *typing.get_args(types.get(name))]
            enums = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum)]
            parameter = {
                "choices": [str(choice) for kind in enums for choice in kind] or settings.get(name, []),
                "values": VALUES.get(f"{path} {name}", VALUES.get(name, "")),
            }
            if one.param_type_name == "argument":
                arguments.append({**parameter, "many": one.nargs == -1})
            elif not one.hidden:
                about = {
                    "names": [*one.opts, *one.secondary_opts],
                    "help": one.help or "",
                    "takes_value": not one.is_flag,
                }
                options.append({**parameter, **about})
        help_option = {
            "names": ["--help", "-h"],
            "help": "Show the help.",
            "takes_value": False,
            "choices": [],
            "values": "",
        }
        about = command.get_short_help_str(100)
        commands[path] = {"help": about, "options": [*options, help_option], "arguments": arguments}
        for name, inner in getattr(command, "commands", {}).items():
            if not inner.hidden:
                add(f"{path} {name}".strip(), inner)

    add("", get_command(app))
    return {"commands": commands, "settings": settings, "descriptions": sorted(FIXED_FIELDS)}


def _choices(kind: type[Any]) -> dict[str, list[str]]:
    """Return the fields of a dataclass with what they may be, if that is one of a few texts, or true or false."""
    found: dict[str, list[str]] = {}
    for name, annotation in typing.get_type_hints(kind).items():
        literal = typing.get_origin(annotation) is typing.Literal
        found[name] = list(typing.get_args(annotation)) if literal else ["true", "false"] if annotation is bool else []
    return found
