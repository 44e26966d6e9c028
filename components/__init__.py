"""Pulumi components of the product: one subsystem, one file, one ComponentResource."""
