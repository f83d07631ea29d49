"""What each exchange's market data looks like and how it is requested: a folder for each venue. Pure."""
