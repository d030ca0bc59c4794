"""336,776 real flights, each routed to a model of its delay."""
