"""The run of one feed on one machine, from starting its programs to proving the last row."""
