"""Cluster: the Dask workers that run notebooks, on this machine or others, and the queue that feeds them."""
