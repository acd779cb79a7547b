"""What takes an app to a running server, and its types to its clients."""
