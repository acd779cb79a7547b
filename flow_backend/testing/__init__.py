"""Tools for testing apps and the backend itself: seeded simulation, links and clients in memory."""
