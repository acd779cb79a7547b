"""Flow: boards and tasks, in sync on every screen."""
