"""What a provider's file needs: the Protocol of a provider, and the shapes that posts and mails have."""
