"""The pages for people: HTML, style and scripts as they lie in this package; nothing from another host."""

from relay.web.pages import made, page_file, routes

__all__ = ["made", "page_file", "routes"]
