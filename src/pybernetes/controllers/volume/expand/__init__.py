"""Claims that ask for more: `plan` knows which."""
