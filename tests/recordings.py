"""Where the recordings of the exchanges are. They are not part of the project: tests that need them are skipped."""

import os
from pathlib import Path

FOLDER = Path(os.environ.get("CRYPTOCDC_SAMPLES") or Path(__file__).parents[2] / "shared" / "samples")
MISSING = f"the recordings are not in {FOLDER} (CRYPTOCDC_SAMPLES names another folder)"
