"""Every Redis key and channel, in one place.

Keys of one inbox share the hash tag ``{inbox}``, so that Redis Cluster keeps them in one slot and one script
may use them together; keys of one account share ``{account}``.
"""

from __future__ import annotations

import hashlib

PREFIX = "relay:"

CONTROL = f"{PREFIX}control"  # channel: what was revoked, released or switched off, see notices.py
FORM = f"{PREFIX}form:2"  # channel: nothing is said there; who follows it knows the doorbells of this version
OLD_FORM = (
    f"{PREFIX}{{form}}:0.2"  # string: version 0.2 was here within a day; mail is kept as it wants it as well
)
SURVEY = f"{PREFIX}census"  # channel: whose sockets somebody wants to see, see delivery/survey.py; the name of 0.1
WRITES = f"{PREFIX}{{writes}}"  # string: written by who wants to know whether Redis takes writes
ACCOUNTS = f"{PREFIX}accounts"  # set of account ids
ACCOUNTS_DECLARED = f"{PREFIX}{{{ACCOUNTS}}}:declared"  # set of ids: those that an accounts file named last
# String: Unix ms at which all of an accounts file was there. In the slot of ACCOUNTS: one node fewer that may be away.
ACCOUNTS_APPLIED = f"{PREFIX}{{{ACCOUNTS}}}:applied"
# String: which accounts file that was, for who finds nothing of it changed, see accounts/applied.py.
ACCOUNTS_DIGEST = f"{PREFIX}{{{ACCOUNTS}}}:digest"
REDIS_LINEAGE = (
    f"{PREFIX}history"  # string: mark of this Redis' own history, see store/lineage.py; not on a cluster
)
ACTIVITY = f"{PREFIX}{{activity}}"  # stream: what happened, over all accounts, see activity/journal.py
PARKED = f"{PREFIX}{{parked}}"  # stream: posts that nobody could read, see parked.py
PARKED_BYTES = f"{PARKED}:bytes"  # string: what they and their bodies take
FETCHES = (
    f"{PREFIX}{{fetches}}"  # sorted set: mails still to be fetched (score: not before, Unix ms), see fetches.py
)
ACCOUNT_KEPT = f"{PREFIX}account:{{%s}}:kept"  # hash: ``letters`` and ``bytes`` of an account; none on a cluster
DUE = f"{PREFIX}{{due}}"  # sorted set: inboxes (score: when the oldest letter is too old, Unix ms), see letters/
FETCHES_BYTES = f"{FETCHES}:bytes"  # string: what their hashes take


def probe(node: str) -> str:
    """Channel: a process rings it to hear whether its own link still works."""
    return f"{PREFIX}probe:{node}"


def survey_answers(node: str) -> str:
    """Channel: what each process answers to a question of this one."""
    return f"{PREFIX}census:{node}"  # the name of 0.1, whose processes may run beside this one


def inbox_channel(inbox: str) -> str:
    """Channel: the doorbell of one inbox."""
    return f"{PREFIX}inbox:{inbox}"


def domain_channel(domain: str) -> str:
    """Channel: the doorbell of all inboxes of one domain."""
    return f"{PREFIX}domain:{domain}"


def address(inbox: str) -> str:
    """Hash: who reserved the address and what happens to its mail, see accounts/addresses.py."""
    return f"{PREFIX}{{{inbox}}}:address"


def meta(inbox: str) -> str:
    """Hash: ``epoch`` (random), ``seq`` and ``ms`` (of the last message), ``mark`` (of Redis' history, as HISTORY
    was then), ``letters`` and ``bytes`` (counts of what is kept, rows included), ``oldest`` (ms of the oldest row, or
    earlier), ``cut`` (seq of the last that made room because of its bytes), ``indexed`` (see letters/version_0_2.py),
    ``large`` (of version 0.2: there once was a message that is only announced)."""
    return f"{PREFIX}{{{inbox}}}:meta"


def index(inbox: str) -> str:
    """Stream: a row for each kept message of an inbox; entry ids are ``<ms>-<seq>``, fields see letters/layout.py."""
    return f"{PREFIX}{{{inbox}}}:index"


def letter(inbox: str, place: str) -> str:
    """String: a letter, see letters/layout.py; ``place`` is ``<epoch>-<ms>-<seq>``."""
    return f"{PREFIX}{{{inbox}}}:letter:{place}"


def incoming(inbox: str, token: str) -> str:
    """String: a large letter for a minute at most, until publish.lua gives it its name."""
    return f"{PREFIX}{{{inbox}}}:incoming:{token}"


def letterbox(inbox: str) -> str:
    """Stream, of version 0.2: the kept messages of an inbox; entry ids are ``<ms>-<seq>``, fields ``o`` owner, ``m``
    message JSON. What is in it goes into the index when somebody touches the inbox, see letters/version_0_2.py."""
    return f"{PREFIX}{{{inbox}}}:letters"


def letter_ids(inbox: str) -> str:
    """Sorted set, of version 0.2: ``<_id> <owner>`` of each letter in the letterbox (score: its ``seq``)."""
    return f"{PREFIX}{{{inbox}}}:letter-ids"


def flags(inbox: str) -> str:
    """Hash: what the owner set on messages, see mailbox/scripts.py; ``<_id>`` -> read, folder and labels."""
    return f"{PREFIX}{{{inbox}}}:flags"


def starred(inbox: str) -> str:
    """Hash: rows of starred messages, which outlive their letters; ``<_id> <account>`` -> row. Of version 0.2: the
    message JSON itself."""
    return f"{PREFIX}{{{inbox}}}:starred"


def starred_letter(inbox: str, field: str) -> str:
    """String: the copy of a starred letter; ``field`` is ``<_id> <account>``, as in :func:`starred`."""
    return f"{PREFIX}{{{inbox}}}:starred:{field}"


def deleted(inbox: str, epoch: str) -> str:
    """Sorted set: ranges of messages of an epoch that were deleted by their owner, see deleted.py."""
    return f"{PREFIX}{{{inbox}}}:deleted:{epoch}"


def seen(inbox: str, event: str) -> str:
    """String: the ``_id`` under which an event of a provider (see bus.publish) was stored for the inbox."""
    digest = hashlib.sha256(event.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"{PREFIX}{{{inbox}}}:seen:{digest}"


def inbox_tag(inbox: str) -> str:
    """The part of a message id that names its inbox: 10 hex digits of SHA-256."""
    return hashlib.sha256(inbox.encode()).hexdigest()[:10]


def parked_body(post_id: str) -> str:
    """String: the body of a parked post."""
    return f"{PARKED}:{post_id}"


def fetch(fetch_id: str) -> str:
    """Hash: ``sender``, ``first``, ``step``, ``tries``, ``until``, ``lease`` of a mail still to be fetched."""
    return f"{FETCHES}:{fetch_id}"


def domain_inboxes(domain: str) -> str:
    """Sorted set: inboxes of a domain that got mail (score: when, Unix ms) and may still have letters."""
    return f"{PREFIX}inboxes:{{{domain}}}"


def domain(name: str) -> str:
    """Hash: who owns a custom domain, and whether that is proven, see accounts/domains.py."""
    return f"{PREFIX}domain:{{{name}}}"


def account(account_id: str) -> str:
    """Hash: ``address_credits``, ``created``."""
    return f"{PREFIX}account:{{{account_id}}}"


def account_keys(account_id: str) -> str:
    """Set: key hashes of an account; with "-" before them while they are being revoked."""
    return f"{PREFIX}account:{{{account_id}}}:keys"


def account_addresses(account_id: str) -> str:
    """Sorted set: addresses that an account reserved, or is about to (score: when, Unix ms); the hash decides."""
    return f"{PREFIX}account:{{{account_id}}}:addresses"


def account_starred(account_id: str) -> str:
    """Sorted set: inboxes in which an account may have starred messages (score: when it did, Unix ms)."""
    return f"{PREFIX}account:{{{account_id}}}:starred"


def account_domains(account_id: str) -> str:
    """Set: domains that an account added; the domain hash decides."""
    return f"{PREFIX}account:{{{account_id}}}:domains"


def activity(account_id: str) -> str:
    """Stream: what happened to an account's mail and sockets, see activity/journal.py."""
    return f"{PREFIX}account:{{{account_id}}}:activity"


def domain_proof(account_id: str, name: str) -> str:
    """Hash: ``token``, ``created``, ``updated``, ``errors`` of the proof that an account is asked for."""
    return f"{PREFIX}account:{{{account_id}}}:domain:{name}"


def api_key(key_hash: str) -> str:
    """Hash: ``account``, ``hash``, ``label``, ``source``, ``created`` of the key with this SHA-256."""
    return f"{PREFIX}key:{{{key_hash}}}"
