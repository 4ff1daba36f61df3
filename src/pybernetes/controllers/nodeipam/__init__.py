"""Pod networks of nodes: `cidrset` cuts a network into parts, `plan` reads the options, `controller` gives."""
