"""How certain an area under the ROC curve is: DeLong's interval [0], of several classes too.

    V_i  = share of the negatives that positive i is above              A = mean of the V_i
    W_j  = share of the positives that negative j is below              A = mean of the W_j
    var A = Σ_i (V_i − A)² / (m (m − 1)) + Σ_j (W_j − A)² / (n (n − 1))

for m positives and n negatives, by ranks in O(N log N) [1]. The area of several classes is the mean
of one against the rest, and an example takes part in each of them: once as a positive, and as a
negative of every other class. Its parts are added before they are squared, within its own class,
so that their covariances count; with two classes this is the formula above.

- [0] DeLong, DeLong & Clarke-Pearson, 1988, "Comparing the Areas under Two or More Correlated
  Receiver Operating Characteristic Curves: A Nonparametric Approach",
  https://doi.org/10.2307/2531595
- [1] Sun & Xu, 2014, "Fast Implementation of DeLong's Algorithm",
  https://doi.org/10.1109/LSP.2014.2337313

Details people get wrong: equal scores count half; the interval is cut at 0 and 1; a perfect order
of few examples has a variance of 0, which says less than it seems to.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.evaluation.ranks import mean_ranks

#: Standard deviations to both sides of a 95 % interval.
DEVIATIONS = 1.959964


def area_interval(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> list[float] | None:
    """The 95 % interval of the area under the ROC curve, of several classes of their mean.

    Args:
        probabilities: [examples, classes].
        labels: The true classes.

    Returns:
        ``[low, high]``; None where a class has fewer than two examples.
    """
    classes = probabilities.shape[1]
    sizes = np.bincount(labels, minlength=classes)
    if (sizes < 2).any():
        return None
    area, parts = 0.0, np.zeros(len(labels))
    for one in range(classes):
        positive = labels == one
        scores = probabilities[:, one].astype(np.float64)
        count, others = int(sizes[one]), len(labels) - int(sizes[one])
        ranks = mean_ranks(scores)
        above = (ranks[positive] - mean_ranks(scores[positive])) / others
        below = 1 - (ranks[~positive] - mean_ranks(scores[~positive])) / count
        mine = above.mean()
        area += float(mine) / classes
        parts[positive] += (above - mine) / count / classes
        parts[~positive] += (below - mine) / others / classes
    variance = 0.0
    for one in range(classes):
        own, count = parts[labels == one], int(sizes[one])
        variance += float(np.square(own - own.mean()).sum()) * count / (count - 1)
    off = DEVIATIONS * float(np.sqrt(variance))
    return [max(0.0, area - off), min(1.0, area + off)]
