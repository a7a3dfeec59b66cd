"""`python -m gateway`."""

from gateway.entrypoint import main

main()
