"""Benchmarks: every figure compares two things that ran in turn, on the same input, in the same script.

Not part of the product and not of its tests: `telemetry bench` runs them from a source checkout.
See docs/performance.md.
"""
