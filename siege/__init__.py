"""Attacks on a running relay, by whom they come from."""
