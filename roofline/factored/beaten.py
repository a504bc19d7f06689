"""Whether a point is beaten by a front: plain loops, which are compiled along with the kernel's."""

CLOSE = 1e-12  # share by which values must differ to be told apart


def beaten_of_two(front, x, y):  # type: ignore[no-untyped-def]
    """Whether a point of a front (F, 2), sorted by its first column, beats (x, y) beyond doubt."""
    low, high = 0, len(front)
    while low < high:  # the first that lies further right
        middle = (low + high) // 2
        if front[middle, 0] <= x:
            low = middle + 1
        else:
            high = middle
    # Of those no further right the last is the lowest. One that is nearly as far right may lie on
    # either side: it is passed over, unless it is exactly as far.
    for at in range(low - 1, -1, -1):
        apart = front[at, 0] < x - CLOSE * abs(x)
        if front[at, 1] < y - CLOSE * abs(y):
            if apart or front[at, 0] == x:
                return True
        elif front[at, 1] == y and apart:
            return True
        if apart:
            return False
    return False


def beaten(front, point):  # type: ignore[no-untyped-def]
    """Whether a point of a front (F, k) beats this one beyond doubt."""
    for row in range(len(front)):
        better, worse = False, False
        for column in range(len(point)):
            theirs, ours = front[row, column], point[column]
            if theirs < ours - CLOSE * abs(ours):
                better = True
            elif theirs != ours:
                worse = True
                break
        if better and not worse:
            return True
    return False
