"""A generator -> programs that run without ganzoo: ONNX, torch.export, and a page that runs it in a browser."""

from ganzoo.exporting.folder import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
