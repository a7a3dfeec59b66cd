"""Rules, what they look at, and what their alerts are: parts of gateway.alerts."""
