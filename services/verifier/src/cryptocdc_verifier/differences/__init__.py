"""What is known about a differing row: where its value comes from, and the likely cause."""
