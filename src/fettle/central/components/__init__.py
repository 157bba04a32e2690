"""The components of others that this installation is made of, and which of them have known faults."""
