"""From a model in a registry to a model on a device: ref → registry → bundle → cache → load."""
