"""What is measured: each module one experiment with its own processes, ``run(plan)`` its one function."""
