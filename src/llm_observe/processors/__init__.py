"""Records to records, or to None. Pure, and in the order of the list the user wrote."""
