"""A reactive backend in Python: typed tables, live queries, serializable mutations, actions."""
