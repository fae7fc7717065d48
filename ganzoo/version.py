"""The version of this package, in a module of its own: what reads it must not depend on the front door."""

__version__ = "0.1.0"
