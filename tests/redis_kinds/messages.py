"""Every command that the Messages API takes, for each kind of Redis."""

from __future__ import annotations

from tests.harness import ACCOUNT, DOMAIN, Relay


async def use_messages(relay: Relay, inbox: str) -> None:
    """``inbox`` is of user1's domain, and empty."""
    here = f"/api/addresses/{inbox}/messages"
    subjects = ("starred", "deleted", "other")
    async with relay.listen(DOMAIN) as socket:
        starred, deleted, _ = [await relay.send(subject, inbox) for subject in subjects]
        # A doorbell that is under way between nodes would bring what has been deleted meanwhile.
        for subject in subjects:
            assert await socket.subject() == subject
    for method, path, status in (
        ("PUT", f"{here}/{starred}/star", 200),
        ("PUT", f"{here}/{starred}/labels/mine", 200),
        ("PUT", f"{here}/{deleted}/read/true", 200),
        ("DELETE", f"{here}/{deleted}", 200),
        ("GET", f"/api/domains/{DOMAIN}/messages", 200),
        ("GET", f"/api/raw/{inbox}/{starred}", 200),
        ("GET", "/api/inbox", 200),
        ("GET", "/api/inbox-search?query=other", 200),
        ("GET", "/api/me/stats", 200),
        ("DELETE", here, 204),
        ("POST", f"/api/domains/{DOMAIN}/delete-all-domain-mail", 204),
    ):
        answer = await relay.rest(method, path)
        assert answer.status_code == status, (method, path, answer.text)
    for path in (here, "/api/addresses/starred/messages"):
        assert [message["_id"] for message in (await relay.rest("GET", path)).json()] == [starred]
    assert (await relay.rest("PUT", f"{here}/{starred}/star")).json()["savedBy"] is None
    mailbox = relay.process.service.mailbox
    before = await mailbox.usage(ACCOUNT)
    assert before.letters == (await mailbox.count_account(ACCOUNT)).messages
    async with relay.listen(DOMAIN, since=starred) as socket:
        await relay.send("live", inbox)
        assert await socket.subject() == "live"
    after = await mailbox.usage(ACCOUNT)
    assert after.letters == before.letters + 1
    assert 0 < after.stored_bytes - before.stored_bytes < 2000
