"""Find photographs that are copies of others: descriptors, candidates, registration, and what follows for splits."""
