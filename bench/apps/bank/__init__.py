"""A bank: accounts that money moves between, as published benchmarks of Convex have it."""
