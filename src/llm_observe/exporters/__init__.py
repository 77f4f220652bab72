"""Records to somewhere else, one destination a module."""
