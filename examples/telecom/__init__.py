"""Sessions of a mobile network, each routed by its device and by how its cell behaves now."""
