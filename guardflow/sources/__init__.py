"""Where texts come from: local folders, given pages. Each makes `Document`s whose text is cleaned and fixed.

Pipelines call them from code stages. What is in a document is data: nothing in it is ever obeyed or run.
"""
