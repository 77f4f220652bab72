"""A client library's traffic to exchanges, one shell a library around the same tap."""
