"""What the commands do, one module per kind; `telemetry.cli` names them and imports a module only when it is used."""
