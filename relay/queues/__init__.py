"""What waits in Redis to be done: posts that nobody could read, and mails that are still to be fetched."""
