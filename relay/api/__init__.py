"""REST: the same store and rules as the sockets, one file a noun."""
