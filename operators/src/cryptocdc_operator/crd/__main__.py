"""Print the CustomResourceDefinition: `make crd` writes it into the chart."""

from __future__ import annotations

import sys

from cryptocdc_operator.crd.definition import text

if __name__ == "__main__":
    sys.stdout.write(text())
