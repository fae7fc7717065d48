"""The exceptions of ganzoo.

GanzooError                     known failure, exit code 1
├── UsageError                  a wrong request, exit code 2
│   ├── UnknownNameError        no such recipe, dataset, architecture, metric or weights
│   ├── BadReferenceError       a text that does not name weights
│   ├── SettingsError           an unknown setting or an invalid value
│   └── DeviceError             a device that this machine does not have
├── PluginError                 a plugin that cannot be imported or breaks the contract
│   ├── DuplicateNameError      two distributions register the same name
│   └── MissingPluginError      weights or a run need a plugin that is not installed
├── ManifestError               a weights manifest that cannot be read
├── WeightsError                weights that cannot be found or trusted
│   ├── MissingWeightsError     not in the store, not bundled, and not to be downloaded
│   ├── DigestMismatchError     a file that differs from its pinned size or sha256
│   └── WeightsFormatError      not safetensors, or not the tensors that the config requires
├── HubError                    the Hub cannot be reached or refuses a request
│   └── HubTimeoutError         a request took too long; threads of the client may still run
├── StoreError                  the store cannot be read or written
├── DatasetError                data that cannot be found or read
│   └── MissingDatasetError     no local files, and not downloaded
├── TrainingError               a run that cannot start or continue
│   ├── DivergedError           a loss became NaN or infinite
│   ├── OtherProcessError       another process of the same training failed and reports it
│   └── ResumeError             a run that cannot be resumed
└── EvaluationError             a metric that cannot be computed

`str(error)` says what is wrong in one line, `error.hint` what to do about it. Facts that a caller may need (a
name, a path, a digest) are attributes of the error.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Collection
from pathlib import Path


class GanzooError(Exception):
    """Base of all expected failures: a message of one line, and a hint on how to fix it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(GanzooError):
    """A wrong request: an unknown name, option or setting."""

    exit_code = 2


class UnknownNameError(UsageError):
    """Nothing of this kind has this name."""

    def __init__(self, kind: str, name: str, known: Collection[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        close = difflib.get_close_matches(name[:200].lower(), self.known, n=1)  # names are lower case
        message = f"no {kind} named {shortened(name)!r}." + (f" Did you mean {close[0]!r}?" if close else "")
        super().__init__(message, hint=f"Installed: {', '.join(self.known) or 'none'}.")


class BadReferenceError(UsageError):
    """A text that is not a reference to weights."""


class SettingsError(UsageError):
    """A setting that does not exist, has the wrong type or is out of range."""


class DeviceError(UsageError):
    """A device that does not exist, or that this machine does not have."""


class PluginError(GanzooError):
    """A plugin that cannot be imported or does not provide the spec that it registers."""

    def __init__(self, message: str, *, distribution: str, version: str, hint: str = "") -> None:
        super().__init__(message, hint=hint or f"Update or uninstall {distribution}, or set GANZOO_PLUGINS=off.")
        self.distribution, self.version = distribution, version


class DuplicateNameError(PluginError):
    """A name that several distributions register."""


class MissingPluginError(PluginError):
    """A plugin that took part in a training and is not installed, or turned off. Its version is the one of then."""


class ManifestError(GanzooError):
    """A weights manifest that cannot be read."""


class WeightsError(GanzooError):
    """Weights that cannot be found or trusted."""


class MissingWeightsError(WeightsError):
    """Weights that are not in the store, not bundled, and not to be downloaded."""


class DigestMismatchError(WeightsError):
    """A file whose size or sha256 differs from the pinned one."""

    def __init__(self, where: str | Path, *, expected: str, found: str, hint: str) -> None:
        super().__init__(f"{where} is damaged or was edited: expected {expected}, found {found}.", hint=hint)
        self.path, self.expected, self.found = where, expected, found


class WeightsFormatError(WeightsError):
    """A file that is not safetensors, or whose tensors are not those that its config requires."""


class HubError(GanzooError):
    """The Hugging Face Hub cannot be reached, refuses a request, or has something other than expected."""


class HubTimeoutError(HubError):
    """A request to the Hub took longer than allowed; threads of the client may still be waiting for it."""


class StoreError(GanzooError):
    """The store cannot be read or written."""


class DatasetError(GanzooError):
    """Data that cannot be read or does not match its format."""


class MissingDatasetError(DatasetError):
    """Files that are not on this machine, and were not downloaded or could not be."""


class TrainingError(GanzooError):
    """A run that cannot start or continue."""


class DivergedError(TrainingError):
    """A loss became NaN or infinite."""


class OtherProcessError(TrainingError):
    """Another process of the same training failed. That process reports why; this one prints nothing."""


class ResumeError(TrainingError):
    """A run that cannot be resumed."""


class EvaluationError(GanzooError):
    """A metric that cannot be computed from these samples."""


_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_HINTS = {
    errno.EROFS: "This file system is read-only; choose a folder on another one.",
    errno.EACCES: "Check the permissions, or choose another folder.",
    errno.EPERM: "Check the permissions, or choose another folder.",
    errno.ENOENT: "Check the path.",
    errno.ENOTDIR: "A part of the path is a file, not a folder; check the path.",
    errno.EISDIR: "This is a folder; name a file.",
    errno.EEXIST: "Choose another name.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EIO: "The disk may be failing; check it, or try a copy of the files on another disk.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
}


def hint_for(error: OSError, disk_full: str = "Free some disk space, or choose a folder on another disk.") -> str:
    """Return how to fix an error of the operating system, by its cause; `disk_full` if no space is left."""
    if error.errno in _DISK_FULL:
        return disk_full
    return _HINTS.get(error.errno or 0, "Check the path, its permissions and the free disk space.")


def shortened(text: object, limit: int = 200) -> str:
    """Return a text on one line, cut in the middle: what others wrote may be megabytes long."""
    line = " ".join(str(text)[: 20 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 23]} ... {line[-18:]}"


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of an error's message, without a full stop and without torch's source locations."""
    text = re.sub(r"\[\S*:\d+\] ", "", str(error).strip())
    return re.split(r"\.\s|\n", text)[0].rstrip(".") or type(error).__name__
