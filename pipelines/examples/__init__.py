"""Short pipelines to learn from; they run as tests."""
