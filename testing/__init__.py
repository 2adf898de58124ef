"""What a backend is tested with: the suite, on the harness of each."""
