"""What is installed: packages, jars from pinned poms, Java, the servers' programs."""
