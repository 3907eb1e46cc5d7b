"""Training: populations of networks as one array, their batches and losses, and the one training loop."""
