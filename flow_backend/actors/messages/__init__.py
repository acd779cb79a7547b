"""What actors tell each other, by who is told. All is frozen; nothing is shared and written."""
