"""What the operator asks (relay/service/health.py). With ``RELAY_INTERNAL_PORT`` these are on that port only."""

from __future__ import annotations

from relay.reference.schemas import flag, record, text
from relay.reference.vocabulary import Answer, Example, Noun, Operation

_READY = record(
    {
        "ready": flag("`redis`, `writes` and `staying`"),
        "redis": flag("the link to Redis stands, and nothing that was missed is still to be read"),
        "writes": flag(
            "Redis takes writes; `reason` says why it does not: `OOM`, `MISCONF`, `READONLY`, `NOPERM`"
        ),
        "accounts": flag(
            "the accounts file is applied; while it is not, whoever needs what is not there yet waits for it"
        ),
        "staying": flag("the process is not about to end"),
    },
    {"reason": text("for a person")},
)

NOUN = Noun(
    "operator",
    "Operate",
    "Health and metrics of one process. With `RELAY_INTERNAL_PORT` they are on that port, and on no other.",
    (
        Operation(
            "GET",
            "/livez",
            "isAlive",
            "Is it alive?",
            "200 while the process answers, whatever Redis does.",
            (Answer("yes", text(), media_types=("text/plain",)),),
            key=False,
            examples=(Example("alive", "/livez", key=False),),
        ),
        Operation(
            "GET",
            "/readyz",
            "isReady",
            "Should it get traffic?",
            "200 while it should.",
            (Answer("yes", _READY), Answer("no; the members say why", _READY, 503)),
            key=False,
            examples=(Example("ready", "/readyz", key=False),),
        ),
        Operation(
            "GET",
            "/metrics",
            "getMetrics",
            "Metrics",
            "Of this process, in the text format of Prometheus.",
            (Answer("the metrics", text(), media_types=("text/plain",)),),
            key=False,
        ),
    ),
)
