"""Stages, pipelines and what happens in a call. Runs without a database; never imports one."""
