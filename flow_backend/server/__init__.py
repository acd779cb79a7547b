"""Sockets, HTTP, configuration: the outside of the server."""
