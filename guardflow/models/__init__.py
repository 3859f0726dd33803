"""Models: roles, prices, and the adapters that send requests. Importing this loads no adapter."""
