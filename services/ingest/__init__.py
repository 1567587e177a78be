"""Documents in: a file becomes passages."""
