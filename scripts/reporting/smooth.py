"""Fewer and calmer points: a curve of a hundred thousand steps is drawn with a few hundred."""
import statistics

MOST = 400


def thinned(points, most=MOST, mean=statistics.fmean):
    """Means of blocks of neighbours, at the block's last step; few points stay as they are."""
    width = -(-len(points) // most) if points else 1
    if width <= 1:
        return list(points)
    blocks = [points[i:i + width] for i in range(0, len(points), width)]
    return [(block[-1][0], mean([y for _, y in block])) for block in blocks]


def envelope(points, most=MOST // 2):
    """[(x, least, largest)] of blocks; nothing where a line of all points does as well."""
    width = -(-len(points) // most) if points else 1
    if width <= 2:
        return []
    blocks = [points[i:i + width] for i in range(0, len(points), width)]
    return [(block[len(block) // 2][0], min(y for _, y in block), max(y for _, y in block))
            for block in blocks]


def calmed(points, mean=statistics.fmean):
    """Of every point and its neighbours, a thirtieth of the curve, the mean or the median."""
    half = max(len(points) // 60, 2 if len(points) >= 12 else 0)
    points = thinned(points, 4 * MOST, mean)
    smooth = []
    for i, (x, _) in enumerate(points):
        reach = min(half, i, len(points) - 1 - i)
        smooth.append((x, mean([y for _, y in points[i - reach:i + reach + 1]])))
    return thinned(smooth)


def sampled(values, most):
    """At most that many, evenly, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]
