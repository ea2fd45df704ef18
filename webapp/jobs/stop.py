"""Whether this process was asked to stop; set by signal handlers, read by loops."""

from __future__ import annotations

import threading

#: SIGTERM arrived: save what there is to save and leave.
stopping = threading.Event()
