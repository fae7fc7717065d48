"""The local Hub."""

from tests.hub.conftest import contents, published, server  # noqa: F401
