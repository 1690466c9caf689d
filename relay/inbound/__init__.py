"""The door in: webhooks of mail providers. Floors: webhook < proof < providers < intake, doors < fetching."""
