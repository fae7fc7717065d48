"""The machine: its devices, files, memory, and processes that help."""
