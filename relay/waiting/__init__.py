"""Waiting for a mail: a request that is answered as soon as one has come that the caller described."""
