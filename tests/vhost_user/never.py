# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A file system (FUSE) with one file that can be opened, and nothing more."""
import ctypes
import os
import struct
import tempfile
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
LOOKUP, GETATTR, OPEN, INIT = 1, 3, 14, 26
FLUSH = 25
SIZE = 1 << 20
DIRECTORY, FILE = 1, 2  # their numbers
FORCE, DETACH = 1, 2


class NeverAnswers:
    """It tells what it was asked for and has not answered."""

    def __init__(self):
        self.where = tempfile.mkdtemp()
        self.device = -1
        self.thread = None
        self.asked = threading.Condition()
        self.unanswered = []

    def mount(self):
        """Whether the system permits it."""
        try:
            self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % self.device
        if LIBC.mount(b"never", self.where.encode(), b"fuse", 0,
                      options.encode()) != 0:
            return False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return True

    def end(self):
        """Whoever waits is let go."""
        LIBC.umount2(self.where.encode(), FORCE | DETACH)
        if self.thread is not None:
            self.thread.join()
        if self.device >= 0:
            os.close(self.device)
        os.rmdir(self.where)

    def open(self):
        return os.open(os.path.join(self.where, "file"), os.O_RDWR)

    def waits_for(self, operation, seconds):
        with self.asked:
            return self.asked.wait_for(
                lambda: operation in self.unanswered, seconds)

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 17)
            except OSError:
                return
            _, operation, unique, number = struct.unpack_from("=IIQQ",
                                                              request)
            answer = self.answer(operation, number)
            if answer is not None:
                os.write(self.device, struct.pack(
                    "=IiQ", 16 + len(answer), 0, unique) + answer)
                continue
            with self.asked:
                self.unanswered.append(operation)
                self.asked.notify_all()

    @staticmethod
    def answer(operation, number):
        def attributes(of):
            mode, size = ((0o40777, 0) if of == DIRECTORY else
                          (0o100666, SIZE))
            return struct.pack("=6Q10I", of, size, 0, 0, 0, 0, 0, 0, 0, mode,
                               1, 0, 0, 0, 4096, 0)

        if operation == INIT:
            return struct.pack("=IIIIHHIIHHI7I", 7, 31, 0, 0, 12, 10, 4096, 1,
                               0, 0, 0, *[0] * 7)[:64]
        if operation == LOOKUP:
            return struct.pack("=QQQQII", FILE, 0, 1000, 1000, 0, 0) + \
                attributes(FILE)
        # It is not to be remembered: whoever wants to know asks again.
        if operation == GETATTR and number == DIRECTORY:
            return struct.pack("=QII", 0, 0, 0) + attributes(number)
        if operation == OPEN:
            return struct.pack("=QII", 1, 0, 0)
        return None
