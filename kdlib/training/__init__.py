"""Training: populations of networks as one array, their batches and losses, and the one training loop."""

from kdlib.training import keys  # noqa: F401, before all else: it notes which sources are imported
