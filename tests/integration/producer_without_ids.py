"""The producer at the simulator as at a host that does not return raw trades by id, as Binance's hosts without keys."""

from __future__ import annotations

import os
from dataclasses import replace

from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.main import main

if __name__ == "__main__":
    venue = VENUES["simulated"]
    rest = os.environ["CRYPTOCDC_REST_URL"]
    VENUES["simulated"] = replace(venue, hosts=replace(venue.hosts, rest=rest, lacks=frozenset({"trade"})))
    main()
