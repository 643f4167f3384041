"""Other tasks than text-classification, against the stock pipeline inside a pandas UDF."""
