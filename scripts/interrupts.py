"""Import this first: until a script listens, Ctrl-C ends it without a traceback of whatever it was importing.

Some ten milliseconds remain, in which Python itself starts and no line of a script has run.
"""

import signal

# One that ignores Ctrl-C, as in the background of a shell, goes on doing so.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
