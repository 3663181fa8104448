"""Documents for the customer: an invoice as a page and as a table.

Empty on purpose, so that only a function that renders pays for the libraries.
"""
