"""A daemon in the form of who runs it, or of who reads about it. Pure."""
