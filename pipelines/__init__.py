"""The bundled pipelines: what a user would write, over the public names of guardflow."""
