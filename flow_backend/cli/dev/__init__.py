"""``flow dev``: the server, the watcher of the app's files and the web client's server, together."""
