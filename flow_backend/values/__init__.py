"""Values: the wire encoding, the total order, sizes."""
