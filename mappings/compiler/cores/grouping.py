"""A sequence of neurons in which those that may share a core stand side by side."""

from __future__ import annotations

import numpy as np

from chipsim.chips.schema import Chip
from chipsim.mappings.network.network import Network

from .profiles import decay_key, learns_at_all, profile_ids, shared_ids, taught, threshold_key


def grouped_order(net: Network, chip: Chip, neurons: np.ndarray) -> np.ndarray | None:
    """`neurons` (program numbers) sorted by what a core must share, otherwise in their order.

    Returns
    -------
    (m,) int64, or None if that changes nothing.
    """
    keys = [shared_ids(net, register)[neurons] for register in chip.limits.core_shared]
    if chip.limits.learning_uniform and learns_at_all(net):
        keys.append(taught(net)[0][neurons].astype(np.int64))
    for limit, key in (
        (chip.limits.decay_profiles, decay_key),
        (chip.limits.threshold_profiles, threshold_key),
    ):
        if limit is not None:
            ids = profile_ids(net, key)[neurons]
            if np.unique(ids).size > limit:
                keys.append(ids)
    if not keys:
        return None
    order = np.lexsort(keys[::-1])
    return None if np.all(order[1:] > order[:-1]) else neurons[order]
