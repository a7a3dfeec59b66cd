"""The routes of one kind of figures each, and what the OpenAPI document says of them: parts of gateway.routes."""
