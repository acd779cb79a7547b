"""Work that is done at its time, and a query that waits for an instant."""
