"""Families of Prometheus metrics: parts of gateway.metrics."""
