"""The programs' metrics: serving them, finding where they are served, and a feed's figures computed from them."""
