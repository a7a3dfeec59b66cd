"""One connection of the live stream and what it is sent: parts of gateway.live and gateway.stream."""
