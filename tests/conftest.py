"""Settings of the tests' own process, made before TensorFlow is imported: one thread, as in a report's runs."""

import os

os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3", OMP_NUM_THREADS="1")
