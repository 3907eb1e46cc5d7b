"""Ways of training the same network. A function here prepares one and returns `run(epochs)`.

`run` trains that many epochs and returns how many it did, which may be a fraction. Each module runs in a process of its
own.
"""
