"""Everything ganzoo raises on purpose.

GanzooError                     known failure, exit code 1
├── UsageError                  the request itself is wrong, exit code 2
│   ├── UnknownNameError        no such recipe, dataset, architecture, metric or weights
│   ├── BadReferenceError       text that names no weights
│   ├── SettingsError           a setting that does not exist or is out of range
│   └── DeviceError             a device that this machine does not have
├── PluginError                 a plugin that cannot be imported or breaks the contract
│   └── DuplicateNameError      one name, two distributions
├── ManifestError               a weights manifest that cannot be read
├── WeightsError                weights that cannot be had or trusted
│   ├── MissingWeightsError     nowhere to be found
│   ├── DigestMismatchError     bytes other than the pinned ones
│   └── WeightsFormatError      not safetensors, or not the tensors that the config asks for
├── HubError                    the Hub cannot be reached, or says no
│   └── HubTimeoutError         it took longer than allowed; the client may still be busy
├── StoreError                  the store cannot be read or written
├── DatasetError                data that cannot be had or read
│   └── MissingDatasetError     no local files and no download
├── TrainingError               a run that cannot start or go on
│   ├── DivergedError           a loss became NaN or infinite
│   ├── ElsewhereError          another process of the same training failed, and says why
│   └── ResumeError             a run folder that cannot be continued
└── EvaluationError             a metric that does not fit, or cannot be computed

Each error says in `str(error)` what was seen and what was expected, and in `error.hint` what to do about it.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Collection
from pathlib import Path


class GanzooError(Exception):
    """A known failure: one line that says what, and one that says how to mend it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(GanzooError):
    """The request itself is wrong."""

    exit_code = 2


class UnknownNameError(UsageError):
    """No spec or weights of that kind carries this name."""

    def __init__(self, kind: str, name: str, known: Collection[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        close = difflib.get_close_matches(name, self.known, n=1)
        message = f"no {kind} named {name!r}." + (f" Did you mean {close[0]!r}?" if close else "")
        super().__init__(message, hint=f"Installed: {', '.join(self.known) or 'none'}.")


class BadReferenceError(UsageError):
    """A text that is no reference to weights."""


class SettingsError(UsageError):
    """A setting that does not exist, has the wrong type or is out of range."""


class DeviceError(UsageError):
    """A device that this machine does not have."""


class PluginError(GanzooError):
    """A plugin that cannot be imported, or that hands over something else than its spec."""

    def __init__(self, message: str, *, distribution: str, version: str, hint: str = "") -> None:
        super().__init__(message, hint=hint or f"Update or uninstall {distribution}, or set GANZOO_PLUGINS=off.")
        self.distribution, self.version = distribution, version


class DuplicateNameError(PluginError):
    """One name that several distributions register."""


class ManifestError(GanzooError):
    """A weights manifest that cannot be read."""


class WeightsError(GanzooError):
    """Weights that cannot be had or trusted."""


class MissingWeightsError(WeightsError):
    """Weights that are neither in the store nor bundled nor to be fetched."""


class DigestMismatchError(WeightsError):
    """Bytes whose size or sha256 is not the pinned one."""

    def __init__(self, where: str | Path, *, expected: str, found: str, hint: str) -> None:
        super().__init__(f"{where} is damaged or was edited: expected {expected}, found {found}.", hint=hint)
        self.path, self.expected, self.found = where, expected, found


class WeightsFormatError(WeightsError):
    """A file that is not safetensors, or whose tensors are not those that its config asks for."""


class HubError(GanzooError):
    """The Hugging Face Hub cannot be reached, refuses, or holds something else than promised."""


class HubTimeoutError(HubError):
    """A conversation took longer than allowed; threads of the client may still be waiting for its end."""


class StoreError(GanzooError):
    """The store cannot be read or written."""


class DatasetError(GanzooError):
    """Data that cannot be read or is not what its format promises."""


class MissingDatasetError(DatasetError):
    """No local files, and no download (not asked for, or without success)."""


class TrainingError(GanzooError):
    """A run that cannot start or go on."""


class DivergedError(TrainingError):
    """A loss became NaN or infinite."""


class OtherProcessError(TrainingError):
    """Another process of the same training failed. It says why, so the program prints nothing for this one."""


class ResumeError(TrainingError):
    """A run folder that cannot be continued."""


class EvaluationError(GanzooError):
    """A metric that does not fit the samples, or cannot be computed from them."""


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
    """Return what to do about an error of the operating system, by its cause; `disk_full` when no space is left."""
    if error.errno in _DISK_FULL:
        return disk_full
    return _HINTS.get(error.errno or 0, "Check the path, its permissions and the free disk space.")


def first_sentence(error: Exception) -> str:
    """Return the first sentence of what an error says, without a full stop and without places in torch's own code."""
    text = re.sub(r"\[\S*:\d+\] ", "", str(error).strip())
    return re.split(r"\.\s|\n", text)[0].rstrip(".") or type(error).__name__
