"""Published runs of inference engines against predictions."""
