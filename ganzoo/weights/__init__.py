"""Weights as files: how they are named, pinned, stored, read and written."""
