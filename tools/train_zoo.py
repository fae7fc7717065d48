"""Train the zoo: every recipe in turn is trained or resumed, measured, and bundled when it beats its goal.

$ python tools/train_zoo.py [NAMES] --data DIR --device auto --seconds 540

It stops in time and says what is left; the same command continues. See docs/training-the-zoo.md.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAVING_SECONDS = 60
"""How long a program may take to stop after it was asked to; a training writes its checkpoint then."""


@dataclass(frozen=True)
class Goal:
    """A recipe, and what its weights must reach to enter the zoo."""

    name: str
    package: str
    """Under plugins/: the package that ships the weights, which is that of the dataset."""
    bounds: dict[str, dict[str, float]] = field(default_factory=dict)
    """Protocol -> metric -> the worst value that will do; without any, the weights enter whatever they reach."""


GOALS = (
    Goal("quadratic-mlp", "ganzoo_quadratic", {"quadratic-exact-v2": {"curve-w1": 0.05}}),
    Goal(
        "quadratic-relativistic",
        "ganzoo_quadratic",
        {"quadratic-exact-v2": {"curve-w1": 0.02, "curve-in-band": 0.995}},
    ),
    Goal("mnist-mlp", "ganzoo_mnist", {"mnist-lenet-v1": {"fd-lenet": 5.0}}),
    Goal("mnist-mlp-dropout", "ganzoo_mnist", {"mnist-lenet-v1": {"fd-lenet": 12.0}}),
    Goal("mnist-mlp-small", "ganzoo_mnist", {"mnist-lenet-v1": {"fd-lenet": 20.0}}),
    Goal("mnist-dcgan", "ganzoo_mnist", {"mnist-lenet-v1": {"fd-lenet": 1.8}, "mnist-fid10k-v1": {"fid": 6.0}}),
    Goal("mnist-cgan", "ganzoo_mnist", {"mnist-lenet-conditional-v1": {}}),
    Goal("mnist-cdcgan", "ganzoo_mnist", {"mnist-lenet-conditional-v1": {"label-accuracy": 0.98, "fd-lenet": 3.0}}),
    Goal("cifar10-dcgan", "ganzoo_cifar10", {"cifar10-fid50k-v1": {"fid": 28.9}}),
    Goal("cifar10-wgan", "ganzoo_cifar10", {"cifar10-fid50k-v1": {}}),
    Goal("cifar10-wgan-gp", "ganzoo_cifar10", {"cifar10-fid50k-v1": {"fid": 26.0}}),
    Goal("cifar10-sngan", "ganzoo_cifar10", {"cifar10-fid50k-v1": {"fid": 16.7}}),
    Goal("cifar10-r3gan", "ganzoo_cifar10", {"cifar10-fid50k-v1": {"fid": 10.0}}),
    Goal("words-scrabblegan", "ganzoo_words", {"words-ocr-text-v1": {"ocr-words": 0.2}}),
    Goal("mjsynth-dcgan", "ganzoo_mjsynth", {"mjsynth-ocr-v1": {}}),
)


class OutOfTimeError(Exception):
    """The seconds are over; what was under way goes on next time."""


@dataclass
class Trainer:
    """Takes one recipe after the other through `ganzoo train`, `eval` and `bundle`."""

    data: Path
    device: str
    seed: int
    runs: Path
    packages: Path
    manifest: Path
    time_is_over: Callable[[], bool]
    """Asked again and again while a command runs."""
    settings: Sequence[str] = ()
    """`key=value` over the recipe's own, for trials: such runs are measured and never bundled."""

    def advance(self, goal: Goal) -> str:
        """Do what is missing for one recipe, and return its state. Raises OutOfTimeError, CalledProcessError."""
        # A trial has a folder of its own: its weights must not be taken for those of the recipe.
        trial = [re.sub(r"[^\w.=-]+", "_", setting) for setting in sorted(self.settings)]
        run = self.runs / "-".join([goal.name, f"seed{self.seed}", *trial])
        self.train(goal, run)
        misses = [miss for protocol in goal.bounds for miss in self.measure(goal, run, protocol)]
        if misses:
            return "falls short: " + ", ".join(misses)
        if self.settings:
            return "reaches its goal, with other settings than the recipe's"
        return self.bundle(goal, run)

    def train(self, goal: Goal, run: Path) -> None:
        """Train to the recipe's last step, from the newest checkpoint where there is one."""
        if (run / "training.json").is_file():
            record = json.loads((run / "training.json").read_text(encoding="utf-8"))
            if record["steps"] == record["settings"]["recipe"]["steps"]:
                return
        if (run / "run.json").is_file():
            self.ganzoo("resume", run, "--no-live", "--data-dir", self.data)
            return
        settings = [word for setting in self.settings for word in ("--set", setting)]
        where = ["--out", run, "--device", self.device, "--data-dir", self.data]
        self.ganzoo("train", goal.name, *where, "--seed", self.seed, "--no-live", *settings)

    def measure(self, goal: Goal, run: Path, protocol: str) -> Iterator[str]:
        """Measure a finished run once; yield every bound that it does not reach."""
        path, weights = run / "evaluations" / f"{protocol}.json", run / "model.safetensors"
        if not path.is_file() or path.stat().st_mtime < weights.stat().st_mtime:
            where = ["--device", self.device, "--data-dir", self.data]
            self.ganzoo("eval", run.resolve(), "--protocol", protocol, *where)
        found = {metric["name"]: metric for metric in self.measured(run, protocol)}
        print("  " + ", ".join(f"{name} {metric['value']:.4g}" for name, metric in found.items()), flush=True)
        for name, bound in goal.bounds[protocol].items():
            value = found[name]["value"]
            if value > bound if found[name]["better"] == "lower" else value < bound:
                yield f"{name} {value:.4g}, wanted {bound:g}"

    def bundle(self, goal: Goal, run: Path) -> str:
        """Enter a run into the manifest, unless it, or a better one, is there already."""
        entries, protocol = self.entries(goal.name), next(iter(goal.bounds))
        metric = self.measured(run, protocol)[0]
        sign = 1 if metric["better"] == "lower" else -1
        for entry in entries:
            for other in entry["metrics"]:
                same = (other["name"], other["protocol"]) == (metric["name"], protocol)
                if same and sign * other["value"] <= sign * metric["value"]:
                    return f"reaches its goal; {metric['name']} of {goal.name}@{entry['version']} is as good or better"
        version = f"v{len(entries) + 1}"
        protocols = [word for protocol in goal.bounds for word in ("--protocol", protocol)]
        where = ["--manifest", self.manifest, "--device", self.device, "--data-dir", self.data]
        self.ganzoo(
            *("zoo", "bundle", run.resolve(), self.packages / goal.package, "--version", version, "--license", "MIT"),
            *(*where, *protocols),
        )
        return f"bundled as {goal.name}@{version}"

    def entries(self, name: str) -> list[dict[str, Any]]:
        """Return what the manifest has under a name."""
        if not self.manifest.is_file():
            return []
        document = json.loads(self.manifest.read_text(encoding="utf-8"))
        return [entry for entry in document["entries"] if entry["name"] == name]

    @staticmethod
    def measured(run: Path, protocol: str) -> list[dict[str, Any]]:
        """Return the metrics of a run: name, value, better."""
        path = run / "evaluations" / f"{protocol}.json"  # where `ganzoo eval` leaves them
        metrics: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        return metrics

    def ganzoo(self, *words: object) -> None:
        """Run one command of the program, unless the time is over; at the deadline a training saves itself and stops.

        A measurement is finished: stopped, it would have to begin again, and so would never end.
        """
        if self.time_is_over():
            raise OutOfTimeError
        command = [sys.executable, "-m", "ganzoo", *map(str, words)]
        print(f"$ ganzoo {' '.join(command[3:])}", flush=True)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while (code := process.poll()) is None:
                if words[0] in ("train", "resume") and self.time_is_over():
                    process.send_signal(signal.SIGINT)
                    try:
                        process.wait(SAVING_SECONDS)
                    except subprocess.TimeoutExpired:
                        process.kill()
                    raise OutOfTimeError
                time.sleep(0.1)
        if code:
            raise subprocess.CalledProcessError(code, command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when nothing is left to do, 1 when something failed, 3 when the time was over first."""
    options = parser().parse_args(arguments)
    deadline = time.monotonic() + options.seconds
    goals = chosen(options.names or ["*"])
    trainer = Trainer(
        data=options.data,
        device=options.device,
        seed=options.seed,
        runs=options.runs,
        packages=options.packages,
        manifest=options.manifest,
        time_is_over=lambda: time.monotonic() >= deadline,
        settings=options.set,
    )
    report: dict[str, str] = {}
    for goal in goals:
        print(f"{goal.name}:", flush=True)
        try:
            report[goal.name] = trainer.advance(goal)
        except OutOfTimeError:
            break
        except subprocess.CalledProcessError as error:
            report[goal.name] = f"failed: `ganzoo {error.cmd[3]}` ended with {error.returncode}"
    left = [goal.name for goal in goals if goal.name not in report]
    print("\n".join(["", *(f"{name}: {state}" for name, state in report.items())]))
    if left:
        print(f"Left: {', '.join(left)}. The same command continues.")
        return 3
    return 1 if any(state.startswith("failed") for state in report.values()) else 0


def chosen(patterns: Sequence[str]) -> list[Goal]:
    """Return the goals whose names match, in the order of GOALS; exit with 2 for a pattern that matches none."""
    for pattern in patterns:
        if not fnmatch.filter([goal.name for goal in GOALS], pattern):
            parser().error(f"no recipe matches {pattern!r}; there are {', '.join(goal.name for goal in GOALS)}")
    return [goal for goal in GOALS if any(fnmatch.fnmatchcase(goal.name, pattern) for pattern in patterns)]


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("names", nargs="*", metavar="NAME", help="recipes, or patterns such as 'mnist-*'; default: all")
    found.add_argument(
        "--data", type=Path, required=True, help="folder with the files of all datasets, or a folder for each"
    )
    found.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    found.add_argument("--seconds", type=float, default=540, help="when to stop (default 540)")
    found.add_argument("--seed", type=int, default=0, help="of the training (default 0); each has a run of its own")
    found.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default runs)")
    found.add_argument("--packages", type=Path, default=ROOT / "plugins", help="where the weights go")
    found.add_argument("--manifest", type=Path, default=ROOT / "weights_manifest.json", help="where they are entered")
    found.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a trial with other settings")
    return found


if __name__ == "__main__":
    sys.exit(main())
