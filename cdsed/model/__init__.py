"""Values and rules of cdsed, without any I/O: names, paths, manifests, listings, states."""
