"""Signals as a terminal gives them, whatever started the tests.

A shell's background job ignores SIGINT and one under nohup SIGHUP, and the programs they start inherit that. The tests here send
such signals and hold programs to what these do on them.
"""

import signal

for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
