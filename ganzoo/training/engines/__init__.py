"""Speed: how a step is handed to the device. The arithmetic is that of `ganzoo/training/step.py` in every engine."""
