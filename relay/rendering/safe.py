"""HTML of strangers made safe to show: no script, no image, no link, nothing that would be fetched.

nh3 has the last word: a browser's parser, then an allow list. What comes before only bounds its work.
"""

from __future__ import annotations

import re

import nh3

from relay.rendering.markup import names
from relay.rendering.order import TAGS, in_order

_SIZES = names("width height")
_TABLE = names("align valign bgcolor") | _SIZES
_ATTRIBUTES = {
    "*": names("style dir lang"),
    "font": names("color face size"),
    "table": _TABLE | names("border cellpadding cellspacing"),
    **dict.fromkeys(("tr", "tbody", "thead", "tfoot"), _TABLE),
    **dict.fromkeys(("td", "th"), _TABLE | names("colspan rowspan")),
    **dict.fromkeys(("col", "colgroup"), names("span width")),
    **dict.fromkeys(("div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "caption"), names("align")),
    "ol": names("start type"),
    "hr": names("align size width"),
}
# Nothing that is fetched, lies over other things, or takes them away.
_STYLES = _SIZES | names(
    "color background-color direction line-height letter-spacing list-style-type max-width font font-family font-size "
    "font-style font-weight text-align text-decoration text-indent text-transform vertical-align white-space "
    "word-break overflow-wrap border border-collapse border-color border-radius border-spacing border-style "
    "border-width border-top border-right border-bottom border-left padding padding-top padding-right "
    "padding-bottom padding-left"
)
# In a value: url(…) and its like, and escapes that could spell one.
_FUNCTION = re.compile(r"(?<![\w-])([\w-]*+)\(|\\")
_HARMLESS = names("rgb rgba hsl hsla")


def safe_html(html: str) -> str:
    """A fragment of HTML. Never raises; at most some MB, in well under a second, whatever comes."""
    cleaner = nh3.Cleaner(
        tags=set(TAGS),
        attributes={name: set(allowed) for name, allowed in _ATTRIBUTES.items()},
        attribute_filter=_attribute,
        filter_style_properties=set(_STYLES),
        link_rel=None,
        url_schemes=set(),
    )
    return cleaner.clean(in_order(html))


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name != "style":
        return value
    return value if _HARMLESS.issuperset(found.lower() for found in _FUNCTION.findall(value)) else None
