"""The ways in, and what a commit group is made of: parts of gateway.ingest, gateway.intake and gateway.keys."""
