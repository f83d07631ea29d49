"""One machine: the embedded platform, the runner and the cryptocdc command."""
