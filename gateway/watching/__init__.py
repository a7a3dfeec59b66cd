"""Who sends, when it is expected, and what is missing: parts of gateway.freshness and gateway.loss."""
