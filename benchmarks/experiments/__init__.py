"""Experiments whose numbers stand in docs/; ``python -m benchmarks.experiments NAME``."""
