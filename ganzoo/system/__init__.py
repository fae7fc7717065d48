"""The machine: devices, files, memory and worker processes."""
