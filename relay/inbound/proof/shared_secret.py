"""Providers that sign nothing: what proves a post is a secret, in its URL or in its head."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers

from relay.inbound.proof.signature import verify_shared_secret
from relay.inbound.webhook.provider import Post, WebhookProvider


@dataclass(frozen=True, slots=True)
class SharedSecretProvider(WebhookProvider):
    """One of ``secrets`` proves a post: as Bearer token, as Basic password (any user name), or as ``?token=``."""

    def proof_in_head(self, headers: Headers) -> bool:
        """True for any headers: there is no signature, so a stranger's body need not be read."""
        return True

    def verify(self, post: Post) -> None:
        """Returns when the post has one of the secrets. Raises NotProven."""
        verify_shared_secret(post, self.secrets)
