"""Benchmarks: what Treering promises, measured; the numbers and their commands stand in `bench/README.md`."""
