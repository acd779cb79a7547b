"""Which version this is."""

NUMBER = 0
