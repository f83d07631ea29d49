"""The public archive of a venue: the market's past as zip files, with a checksum beside each."""
