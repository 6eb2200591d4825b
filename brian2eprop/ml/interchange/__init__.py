"""Spiking networks in the Neuromorphic Intermediate Representation, NIR."""
