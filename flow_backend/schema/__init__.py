"""Documents, indexes and ids: what an app declares."""
