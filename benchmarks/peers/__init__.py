"""Ways of training the same network. A function here prepares one and returns `run(epochs)`.

`run` trains so many epochs, comes back when they are done, and returns how many it did, which may be a fraction.
Nothing is imported before it is asked for: each module runs in a process of its own.
"""
