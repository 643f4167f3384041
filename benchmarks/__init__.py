"""What embercast gains over what people use, measured: one folder a case, each prints one JSON line last."""
