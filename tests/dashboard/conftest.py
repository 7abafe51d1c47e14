"""People and a small inventory, as the pages see them."""

from tests.api.conftest import make_target, people, web

__all__ = ["make_target", "people", "web"]
