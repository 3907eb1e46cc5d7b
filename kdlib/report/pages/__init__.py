"""Pages: an executed notebook as one HTML file that needs nothing else."""
