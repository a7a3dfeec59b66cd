"""`python -m ui`."""

from ui.entrypoint import main

raise SystemExit(main())
