"""What relay costs, next to what others cost: ``python -m bench`` or ``make bench``.

Each number is CPU time (user and system) of the service's own process per unit of work, with yardsticks measured
in the same run, on the same machine, with the same sockets and sizes: compare numbers within a run, and runs by
their ratios. The service is entered by its public doors only (HTTP, WebSocket, the ``relay serve`` command on a
real redis-server), so that the same bench measures any version of it.

``workloads/`` say what is done, ``yardsticks/`` are the others (``peers.py`` gets those that are no Python),
``contestants.py`` makes one kind of thing of relay and those with a Redis, ``listeners.py`` and ``senders.py`` are the
two load processes, ``goals.py`` says what is wanted.
"""
