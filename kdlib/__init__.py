import os

from kdlib import pins

os.environ.update(pins.variables())  # before any module of kdlib imports NumPy or TensorFlow
