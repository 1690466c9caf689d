"""The pages for people: HTML, style and scripts as they lie in this package; nothing from another host."""

from relay.web.pages import made, or_missing, page_file, routes

__all__ = ["made", "or_missing", "page_file", "routes"]
