"""Where documents are kept: one writer, many readers."""
