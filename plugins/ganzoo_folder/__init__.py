"""The dataset folder: pictures of your own, in a folder or an archive."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import DatasetSpec
from ganzoo_folder.config import FolderConfig

FOLDER = DatasetSpec(
    name="folder",
    summary="your own pictures: a folder of any depth, a zip or a tar; with --data-dir PATH",
    homepage="your own files",
    license="that of your pictures",
    config=FolderConfig,
    sample=lambda config: config.sample,
    splits={"train": "varies"},
    load=deferred("ganzoo_folder.pictures:load"),
    suggest=deferred("ganzoo_folder.suggestion:suggest"),
)
