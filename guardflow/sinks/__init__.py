"""Sinks: where results go. Each speaks one API; nothing here decides what is delivered."""
