"""Transactions, each routed to the model that fits it."""
