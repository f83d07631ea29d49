"""The platform's servers, the exchange and the verifier: the ports and their implementations."""
