"""The actors, one per module, and the messages they send each other."""
