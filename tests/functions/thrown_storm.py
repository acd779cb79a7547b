"""A program: thousands of calls that catch what is thrown at them, and end as the next comes."""

import faulthandler
import sys
import time

from flow_backend.functions.limits import Interrupted, Limits, ThreadDeadlines, ThreadWatch

DEADLINES = ThreadDeadlines(0.00005)
LIMITS = Limits(cpu_seconds=0.0001, total_seconds=10)


def spin(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def call(watch: ThreadWatch, number: int) -> None:
    """Enter and leave as the runner does; ``number`` says how long it takes."""
    try:
        try:
            try:
                watch.enter()
                try:
                    spin(0.0003 + number % 8 * 0.0002)
                except Interrupted:
                    spin(number % 5 * 0.0001)
            finally:
                watch.over = True
                watch.leave()
        except Interrupted:
            watch.over = True
            watch.leave()
    except Interrupted:
        watch.leave()


def main(calls: int) -> None:
    sys.setswitchinterval(0.00001)
    twice = 0
    for number in range(calls):
        watch = DEADLINES.watch(LIMITS, lambda: None)
        call(watch, number)
        twice += watch.thrown > 1
    print(twice)


if __name__ == "__main__":
    # Where it hangs is said, and it ends.
    faulthandler.dump_traceback_later(float(sys.argv[2]), exit=True)
    main(int(sys.argv[1]))
