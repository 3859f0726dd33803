"""The durable engine: DBOS Transact, embedded. The only package that imports dbos.

`rows` reads and changes DBOS's tables by plain SQL and loads no dbos, so read-only commands stay fast;
`engine` runs pipelines. Nothing is imported here.
"""
