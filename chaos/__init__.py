"""The bad days of tests/bad_days/, longer: ``python -m chaos`` or ``make chaos``.

The scenarios are the tests' own, with real time limits, more mail and more sockets; what is counted is the same. All
servers are started here, on free ports of the loopback, and end with their row.
"""
