"""A process: what it is built of, its server, its workers, and its end."""
