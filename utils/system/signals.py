"""Signals that ask a long run to stop: it goes on to where it can save, and leaves."""

import signal


class Stop:
    """Within it, SIGTERM and the first Ctrl-C are remembered; a second one takes effect at once.

    Attributes
    ----------
    signal : int or None
        The signal that came.
    """

    def __enter__(self):
        """Listen."""
        self.signal = None
        self.former = {one: signal.signal(one, self._remember) for one in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _remember(self, number, _):
        self.signal = number
        self._let_go()

    def _let_go(self):
        for one, handler in self.former.items():
            signal.signal(one, handler)

    def __exit__(self, *_):
        """Listen no more."""
        self._let_go()

    def __bool__(self):
        """Tell whether a signal came."""
        return self.signal is not None
