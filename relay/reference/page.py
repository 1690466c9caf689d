"""The page of the reference: one static HTML, made when first asked for. Its shell is relay/web/pages/docs.html."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from relay.reference import listening
from relay.reference.markup import Html, join, prose, tag
from relay.reference.openapi import ERRORS
from relay.reference.recorded import Recorded, recorded
from relay.reference.schemas import SCHEMAS
from relay.reference.socket import ENDS, FRAMES, Frame
from relay.reference.tables import row, rows_of, table, type_of
from relay.reference.vocabulary import HOST, Answer, Example, Noun, Operation, Parameter, Snippet


def navigation(nouns: Sequence[Noun]) -> Html:
    """The list at the left: nouns, and the operations of each."""
    groups = [_group(noun.name, noun.title, _items(noun)) for noun in nouns]
    shapes = [_item(f"shape-{name}", name) for name in SCHEMAS]
    return join(groups, _group("errors", "Errors", []), _group("shapes", "Shapes", shapes))


def content(nouns: Sequence[Noun], frames: Mapping[str, Any]) -> Html:
    """Everything beside the navigation. ``frames``: one of each kind, by name."""
    sections = [_noun(one, _said(frames) if one is listening.NOUN else ()) for one in nouns]
    return join(sections, _errors(), _shapes())


# Navigation


def _group(name: str, title: str, items: Sequence[Html]) -> Html:
    link = tag("a", title, href=f"#{name}")
    return tag("li", link, tag("ul", items) if items else "", class_="docs-group")


def _items(noun: Noun) -> list[Html]:
    items = [_item(one.id, one.title, one.method) for one in noun.operations]
    if noun is listening.NOUN:
        items += [
            *(_item(f"frame-{one.name}", one.title, "WS") for one in FRAMES),
            _item("closes", "Close codes", "WS"),
        ]
    return items


def _item(anchor: str, title: str, method: str = "") -> Html:
    mark = tag("span", method, class_=f"method method-{method.lower()}", aria_hidden="true") if method else ""
    return tag("li", tag("a", mark, tag("span", title), href=f"#{anchor}"))


# Nouns


def _noun(noun: Noun, more: Iterable[Html] = ()) -> Html:
    answers = recorded(noun)
    return _section(
        noun.name, noun.title, noun.says, *(_operation(one, answers) for one in noun.operations), *more
    )


def _section(name: str, title: str, says: str, *parts: Html) -> Html:
    head = tag(
        "div", tag("h2", _anchor(name, title)), tag("p", prose(says), class_="docs-says"), class_="docs-intro"
    )
    return tag("section", head, *parts, id=name, class_="docs-noun")


def _anchor(name: str, title: str) -> Html:
    return tag("a", title, href=f"#{name}")


def _operation(operation: Operation, answers: Mapping[tuple[str, str], Recorded]) -> Html:
    method = tag("span", operation.method, class_=f"method method-{operation.method.lower()}")
    words = tag(
        "div",
        tag("h3", _anchor(operation.id, operation.title)),
        tag("p", method, " ", tag("code", operation.path), class_="docs-path"),
        tag("p", prose(operation.says)),
        _parameters(operation.parameters),
        _body(operation),
        _answers(operation),
        class_="docs-words",
    )
    shown = [_snippet(one) for one in operation.snippets]
    shown += [_example(operation, one, answers.get((operation.id, one.name))) for one in operation.examples]
    return _article(operation.id, words, shown)


def _article(anchor: str, words: Html, examples: Sequence[Html]) -> Html:
    side = tag("div", examples, class_="docs-examples stack") if examples else ""
    return tag("article", words, side, id=anchor, class_="docs-entry")


def _parameters(parameters: Sequence[Parameter]) -> Html:
    rows = [
        row(one.name, one.schema, one.says, f"{one.place}, needed" if one.required else one.place)
        for one in parameters
    ]
    return table("Parameters", ("name", "type", "meaning"), rows)


def _body(operation: Operation) -> Html:
    if operation.body is None:
        return Html()
    rows = rows_of(operation.body.schema)
    optional = "" if operation.body.required else ", may be left out"
    says = operation.body.schema.get("description", "") if rows else operation.body.says
    kind = join(tag("span", "Body", class_="docs-label"), f" {' or '.join(operation.body.media_types)}{optional}")
    intro = tag("p", kind, tag("br"), prose(says)) if says else tag("p", kind)
    return join(intro, table("", ("member", "type", "meaning"), rows))


def _answers(operation: Operation) -> Html:
    rows = [tag("tr", tag("td", tag("code", str(one.status))), tag("td", _told(one))) for one in operation.answers]
    rows += [
        tag(
            "tr",
            tag("td", tag("code", str(status))),
            tag("td", tag("a", ERRORS[status][0], href=f"#error-{status}")),
        )
        for status in operation.all_errors()
    ]
    return table("Answers", ("status", "meaning"), rows)


def _told(answer: Answer) -> Html:
    parts = [prose(answer.says)]
    if answer.schema is not None:
        parts += (
            [Html(": "), type_of(answer.schema)]
            if answer.media_types == ("application/json",)
            else [join(": ", tag("code", ", ".join(answer.media_types)))]
        )
    for name, says in (answer.headers or {}).items():
        parts.append(join(tag("br"), "Header ", tag("code", name), ": ", prose(says)))
    return join(parts)


def _example(operation: Operation, example: Example, answer: Recorded | None) -> Html:
    title = example.says or "Example"
    parts = [tag("figcaption", title), _code(operation.curl(example), "Request")]
    if answer is not None:
        parts.append(_answer_of(answer))
    return tag("figure", *parts, class_="docs-example")


def _snippet(snippet: Snippet) -> Html:
    return tag("figure", tag("figcaption", snippet.says), _code(snippet.code, "Code"), class_="docs-example")


def _answer_of(answer: Recorded) -> Html:
    kind = f" {answer.media_type}" if answer.media_type else ", no body"
    good = "good" if answer.status < 400 else "bad"
    status = tag("span", str(answer.status), class_=f"badge badge-{good}")
    headers = [tag("p", tag("code", f"{name}: {value}"), class_="small") for name, value in answer.headers.items()]
    said = tag("p", status, kind, class_="docs-status small")
    if answer.body is None:
        return join(said, headers)
    return join(said, headers, _code(_pretty(answer.body), "Answer"))


def _pretty(body: Any) -> str:
    return body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()


def _code(text: str, label: str) -> Html:
    """A box with a copy button (shell.js). Where a reader's own host belongs, docs.js puts it."""
    host = urlsplit(HOST).netloc
    secure, plain = f"https://{host}", f"wss://{host}"
    parts: list[Html] = []
    for line in text.split("\n"):
        marked = join(line).replace(secure, tag("span", secure, data_origin="http"))
        parts.append(Html(marked.replace(plain, tag("span", plain, data_origin="ws"))))
    code = tag("code", Html("\n".join(parts)))
    return tag("div", tag("pre", code, tabindex="0", role="group", aria_label=label), class_="code code-wrap")


# The WebSocket, errors, shapes


def _said(frames: Mapping[str, Any]) -> Iterable[Html]:
    """What goes over the WebSocket, and how it ends."""
    return (*(_frame(one, frames.get(one.name)) for one in FRAMES), _closes())


def _frame(frame: Frame, example: Any) -> Html:
    rows = rows_of(frame.schema)
    shape = (
        table("Members", ("member", "type", "meaning"), rows)
        if rows
        else tag("p", "Its shape: ", type_of(frame.schema))
    )
    title = tag("h3", _anchor(f"frame-{frame.name}", frame.title))
    words = tag("div", title, tag("p", prose(frame.says)), shape, class_="docs-words")
    shown = tag("figure", tag("figcaption", "Frame"), _code(_pretty(example), "Frame"), class_="docs-example")
    return _article(f"frame-{frame.name}", words, [shown] if example else [])


def _closes() -> Html:
    rows = [
        tag("tr", tag("td", tag("code", str(one.code))), tag("td", one.reason), tag("td", one.comes_back),
            tag("td", prose(one.says)))
        for one in ENDS
    ]  # fmt: skip
    heads = ("code", "reason", "come back?", "meaning")
    words = tag("div", tag("h3", _anchor("closes", "Close codes")), table("How it ends", heads, rows))
    return tag("article", words, id="closes", class_="docs-entry docs-wide")


def _errors() -> Html:
    rows = [
        tag(
            "tr",
            tag("td", tag("code", str(status))),
            tag("td", name),
            tag("td", prose(says)),
            id=f"error-{status}",
        )
        for status, (name, says) in ERRORS.items()
    ]
    words = tag("div", table("Errors of REST", ("status", "name", "meaning"), rows))
    says = (
        "Errors are JSON with `error`, the same as `message`, and often `validationErrors`: they say what to do. A "
        "path that is not there is 404; a method that is not for a path is 405, and `Allow` names those that are."
    )
    return _section("errors", "Errors", says, tag("article", words, class_="docs-entry docs-wide"))


def _shapes() -> Html:
    return _section("shapes", "Shapes", "JSON objects that more than one answer holds.", *map(_shape, SCHEMAS))


def _shape(name: str) -> Html:
    title = tag("h3", _anchor(f"shape-{name}", name))
    says = str(SCHEMAS[name].get("description", ""))
    words = tag(
        "div",
        title,
        tag("p", prose(says)) if says else "",
        table("Members", ("member", "type", "meaning"), rows_of(SCHEMAS[name])),
    )
    return tag("article", words, id=f"shape-{name}", class_="docs-entry docs-wide")
