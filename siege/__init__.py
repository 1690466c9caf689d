"""Attacks on a running relay: what can be sent to it, and what it may cost."""
