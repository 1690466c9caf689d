"""``python -m relay.cli``: the relay command where it is not on the path."""

from relay.cli import main

main()
