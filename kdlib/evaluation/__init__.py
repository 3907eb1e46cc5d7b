"""Evaluation: metrics of a population, comparisons over seeds, tidy results on disk, and numbers as text.

Nothing here imports TensorFlow, so that a summary starts quickly.
"""
