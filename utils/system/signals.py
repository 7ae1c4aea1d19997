"""Signals that ask a long run to stop: it continues to where it can save, and ends."""

import atexit
import contextlib
import multiprocessing.util  # which waits for processes at the end; what is registered after it comes before it
import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Within it, SIGTERM and the first Ctrl-C are remembered; a second one takes effect at once.

    Attributes
    ----------
    signal : int or None
        The signal that came.
    """

    def __enter__(self):
        """Install the handlers."""
        self.signal = None
        self.former = {one: signal.signal(one, self._remember) for one in SIGNALS}
        return self

    def _remember(self, number, _):
        self.signal = number
        self._restore()

    def _restore(self):
        for one, handler in self.former.items():
            signal.signal(one, handler)

    def __exit__(self, *_):
        """Restore the former handlers."""
        self._restore()

    def __bool__(self):
        """Return whether a signal came."""
        return self.signal is not None


@contextlib.contextmanager
def blocked():
    """Hold back the signals that ask to stop; processes started within it never see them.

    Schedulers and Ctrl-C signal the whole process group. Helpers that ended first would leave the process that
    saves without its data.
    """
    atexit.unregister(_end_children)  # once is enough
    atexit.register(_end_children)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_children():
    """Kill the processes that are left at the end: they hold back the signal by which Python would end them."""
    for child in multiprocessing.active_children():
        child.kill()
