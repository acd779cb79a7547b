"""The benchmarks: each measures a running server beside a floor, in the same run."""
