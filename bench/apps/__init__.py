"""Apps of the benchmarks' own: `flow serve --app bench.apps.<name>`."""
