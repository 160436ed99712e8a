"""kill -9 and errors at every system call of every story. The oracle: what was answered 250 is delivered,
bounced or still queued whole; nothing is delivered twice, but by a kill between the delivery and the
moment it is noted; what is left in the spool, a queue run clears."""

import os

import pytest
from exim import wait_until
from stories import stories
from torture import FAULTS, KILLS, Victim

# The quick form takes a few calls of each kind; TORTURE=full takes every one.
FULL = os.environ.get("TORTURE") == "full"
SAMPLES = int(os.environ.get("TORTURE_SAMPLES", "2"))
SEED = int(os.environ.get("TORTURE_SEED", "0"))
# Calls between a delivery and the note of it: so many cases of a sweep may end with a second copy.
WINDOW = 12
# Seconds until the daemon has made the notes that it could not make at first.
NOTED = 8


def begin(e, story):
    if e.process is not None:  # nobody's spool is taken from under him
        e.stop()
    e.restore()
    if story.daemon:
        e.start()
        e.quiet()


def one_case(e, story, fault, n):
    """One fault at the nth call that can have it. Returns how many can, and whether a copy was doubled."""
    begin(e, story)
    e.arm(fault, n)
    taken = story.act(e)
    if story.daemon:
        e.quiet()
    count = e.disarm()
    doubled = []

    def window(place):
        doubled.append(place)
        unheard = place.startswith("sink") and e.where() in ("recv", "__recv_chk")  # the 250 of the next host
        return n > 0 and (fault in KILLS or unheard)

    def empty():
        """an empty queue"""
        return not set(e.queue()) - {getattr(story, "id", None)}

    try:
        e.recover(restart=story.daemon and fault in KILLS)
        try:
            story.check(e, taken, window)
        except AssertionError:  # the daemon may have kept for later what it could not read
            if not story.daemon or fault in KILLS:
                raise
            e.recover(restart=True)
            story.check(e, taken, window)
        left = e.left_over()
        assert not left, f"left in the spool: {left}"
        wait_until(empty, NOTED, 0.2)
    except AssertionError as problem:
        raise AssertionError(f"{story.name}, {fault} at {n} ({e.where()}): {problem}\n{taken}\n{e.mainlog()}\n"
                             f"{e.paniclog()}") from problem
    return count, bool(doubled)


def calls(total, seed, least):
    if FULL:
        return range(1, total + 1)
    step = max(1, total // max(SAMPLES, least))
    return range(1 + seed % step, total + 1, step)


def sweep(e, story, fault, seed):
    """One kind of fault; yields what is wrong."""
    total, _ = one_case(e, story, fault, 0)
    assert total > 0
    doubled = []
    for n in calls(total, seed, story.kills if fault == "kill-one" else 0):
        try:
            if one_case(e, story, fault, n)[1]:
                doubled.append(n)
        except AssertionError as problem:
            yield str(problem)
            e.kill()
    if len(doubled) > WINDOW:
        yield f"{story.name}, {fault}: second copies after {doubled}"


@pytest.mark.parametrize("name", stories())
def test_nothing_is_lost_or_doubled(name):
    story = stories()[name]
    e = Victim(main=story.main)
    try:
        if not story.daemon:
            story.prepare(e)
            e.save()
        wrong = []
        for i, fault in enumerate(FAULTS):
            wrong += sweep(e, story, fault, 7 * i + 3 * list(stories()).index(name) + SEED)
        assert not wrong, "\n".join([f"{len(wrong)} cases", *wrong[:5]])
    finally:
        e.close()
