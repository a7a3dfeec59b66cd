"""`python -m worker`."""

from worker.entrypoint import main

main()
