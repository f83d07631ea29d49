"""Past days from an exchange's public archive: loaded by the producer's code, proven by the verifier's."""
