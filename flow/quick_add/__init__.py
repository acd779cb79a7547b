"""Quick add: one line of text in, one item out. ``parse`` stands in :mod:`flow.quick_add.parse`."""
