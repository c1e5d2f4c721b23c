"""The in-process read index: postings, orders, facets, full text. No database, no input, no output.

`app.index.index.EntityIndex` is what others use; `app.index.terms` says what is searchable.
"""
