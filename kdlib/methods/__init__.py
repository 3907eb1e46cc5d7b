"""Methods: what is trained on a dataset, from which targets, and what it may use."""
