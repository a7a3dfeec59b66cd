"""`python -m telemetry`: how the supervisor starts its services, so that their command lines say what they are."""

from telemetry.cli import main

if __name__ == "__main__":
    main()
