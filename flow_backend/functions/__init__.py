"""Functions: what an app does in a transaction, and how it is run."""
