"""CEL expressions: checked by a library, compiled to Python, and told to people."""
