"""Training: `train` and `resume` run to the end; `Training` gives the records one by one."""

from ganzoo.training.loop import Record
from ganzoo.training.run import Run
from ganzoo.training.session import Training, resume, train

__all__ = ["Record", "Run", "Training", "resume", "train"]
