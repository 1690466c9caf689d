"""Sample mail: relay/api/samples.py."""

from __future__ import annotations

from relay.api.samples import MAX_PER_MINUTE
from relay.reference.addresses import EMAIL
from relay.reference.schemas import BODY_KEY, record, ref
from relay.reference.vocabulary import Answer, Body, Example, Noun, Operation

NOUN = Noun(
    "samples",
    "Sample mail",
    "To see something arrive before a provider is set up.",
    (
        Operation(
            "POST",
            "/api/addresses/{email}/sample",
            "sendSample",
            "Send a sample mail",
            "To an address of yours, by the way that all mail takes: the answer is that of the providers' paths. "
            f"At most {MAX_PER_MINUTE} a minute.",
            (Answer("what became of it", ref("Report")),),
            (EMAIL,),
            Body(record({}, BODY_KEY), required=False),
            errors=(429,),
            examples=(
                Example("sample", "/api/addresses/user1@mailsac.com/sample"),
                Example("anothers", "/api/addresses/user2@mailsac.com/sample", "Not an address of yours"),
            ),
        ),
    ),
)
