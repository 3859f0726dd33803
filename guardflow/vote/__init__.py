"""Votes: rules, matchers and merges. Pure: flow casts the ballots and asks the models."""
