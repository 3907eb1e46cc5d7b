"""Datasets: the contract and its checks, the reader of pickles, CSV import, and known distributions.

Reading is safe on files from anyone: nothing in a pickle is run. Nothing here imports TensorFlow.
"""

from kdlib.data.dataset import Dataset, Split, from_arrays, load, loads, save
from kdlib.data.files import DataContractError, UnsafePickleError

__all__ = ["DataContractError", "Dataset", "Split", "UnsafePickleError", "from_arrays", "load", "loads", "save"]
