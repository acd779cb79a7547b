"""``flow dev``: the server, a watch of the app's files and the web client's server, together."""
