"""The door in: webhooks of mail senders, one file a sender."""
