#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""protocol.py BACKEND - what the specification of vhost-user says of messages.

A front end that keeps to it, and sees that the back end does: when rings start,
which messages are answered, what may change while a ring runs.
"""
import os
import struct
import sys

import frontend as f
import hostile


def state(index, value=0):
    return struct.pack("=II", index, value)


def rings_that_stop_at_once(backend):
    """Whatever their thread is about to do when it is told."""
    front = backend.connect()
    front.start()
    for i in range(10000):
        if i % 2 != 0:
            os.eventfd_write(front.kick, 1)
        front.ask(f.GET_VRING_BASE, state(0))
        front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.read(0, 512)
    front.close()
    yield


def everything(backend):
    hostile.run(backend, (rings_that_stop_at_once,))


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        print("skipped: Python is older than 3.10")
        sys.exit(77)
    hostile.with_backend(everything, sys.argv[1])
