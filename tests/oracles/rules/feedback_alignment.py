"""Error feedback through fixed weights: feedback alignment, direct feedback alignment, sign-symmetric,
backpropagation.

Sources: Lillicrap, Cownden, Tweed and Akerman (2016); Nokland (2016); Liao, Leibo and Poggio (2016). For
layers a_l = W_l x_l, x_0 the input and x_l = phi(a_{l-1}) after it, output error e = target - a_L::

    backpropagation      delta_l = phi'(a_l) (W_{l+1}^T delta_{l+1})
    feedback alignment   delta_l = phi'(a_l) (B_{l+1} delta_{l+1}),   B fixed and random, or sign(W^T)
    direct               delta_l = phi'(a_l) (D_l e)
    all                  dW_l = delta_l x_l^T

Directions of weight change. A synapse needs its input and its own neuron's delta, which is one number sent
back.
"""

from __future__ import annotations

from numba import njit

from chipsim.kernels.learning.flags import FLAGS


@njit(**FLAGS)
def send_back(feedback, error, slope, delta):
    """delta_i = slope_i sum_k feedback_ik error_k. feedback: (n, m); error: (m,); slope, delta: (n,)."""
    for i in range(delta.shape[0]):
        total = 0.0
        for k in range(error.shape[0]):
            total += feedback[i, k] * error[k]
        delta[i] = slope[i] * total


@njit(**FLAGS)
def outer(delta, activity, d_w):
    """Add delta_i activity_j to d_w (post, pre)."""
    for i in range(delta.shape[0]):
        for j in range(activity.shape[0]):
            d_w[i, j] += delta[i] * activity[j]
