"""From Redis to this process, and from here to its listeners. ``tests/test_architecture.py`` holds its floors."""
