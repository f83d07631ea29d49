"""One pass over a feed: compare it with the cluster and the servers, and apply what differs."""
