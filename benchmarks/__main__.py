"""`python -m benchmarks` is `telemetry bench`, with more options."""

from __future__ import annotations

import sys

from benchmarks.catalogue import main

sys.exit(main())
