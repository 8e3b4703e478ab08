# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A virtual machine, its disk's back end, and talking to both."""
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

# Nothing here waits for time to pass; these are when to give up.
PATIENCE = float(os.environ.get("VMMEM_QEMU_PATIENCE", "600"))


class Failure(Exception):
    pass


class Skipped(Exception):
    """What this machine has not."""


def check(condition, text):
    if not condition:
        raise Failure(text)


class Backend:
    """examples/vhost-user-blk on a socket."""

    def __init__(self, run, name, disk, options=(), environment=None):
        self.socket = os.path.join(run.dir, name + ".sock")
        self.log = open(os.path.join(run.dir, name + ".log"), "ab")
        self.command = [run.backend, "--socket", self.socket,
                        "--file", disk, *options]
        self.environment = dict(os.environ, **(environment or {}))
        self.process = None
        run.parts.append(self)
        self.start()

    def start(self):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.process = subprocess.Popen(
            self.command, stdout=self.log, stderr=self.log,
            stdin=subprocess.DEVNULL, env=self.environment)
        end = time.monotonic() + PATIENCE
        while not os.path.exists(self.socket):
            check(self.process.poll() is None, "the back end has ended")
            check(time.monotonic() < end, "the back end does not listen")
            select.select([], [], [], 0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def expect_alive(self):
        check(self.process.poll() is None,
              "the back end has ended: %s" % self.process.returncode)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        self.log.close()


class Machine:
    """A QEMU, its serial console and its monitor."""

    def __init__(self, run, name, backend, memory="256M", machine="q35",
                 device="", queues=1, reconnect=False, options=(),
                 append="", ram="memory-backend-memfd"):
        self.name = name
        self.serial_log = open(os.path.join(run.dir, name + ".serial"), "wb")
        self.error_log = open(os.path.join(run.dir, name + ".qemu"), "wb")
        monitor = os.path.join(run.dir, name + ".qmp")
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi",
            "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", machine + ",memory-backend=ram",
            "-m", memory + ",slots=4,maxmem=4G", "-smp", "2",
            "-cpu", "max",
            "-object", ram + ",id=ram,share=on,size=" + memory,
            "-kernel", run.kernel, "-initrd", run.initrd,
            # What the kernel says must not come into what a command prints:
            # it is read by kernel_says().
            "-append", "console=ttyS0 loglevel=1 panic=-1 " + append,
            "-no-reboot",
            "-chardev", "stdio,id=console,signal=off",
            "-serial", "chardev:console",
            "-qmp", "unix:%s,server=on,wait=off" % monitor,
            "-chardev", "socket,id=disk,path=%s%s" % (
                backend.socket, ",reconnect=1" if reconnect else ""),
            *options,
            "-device", "vhost-user-blk-pci,chardev=disk,num-queues=%d%s" % (
                queues, "," + device if device else ""),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.error_log)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""
        self.commands = 0
        self.monitor = None
        self.events = []
        self.monitor_path = monitor
        run.parts.append(self)

    # The serial console.

    def _more(self, end):
        left = end - time.monotonic()
        check(left > 0, "%s: no answer; the console ends with: %r" % (
            self.name, self.text[-400:]))
        ready, _, _ = select.select([self.process.stdout], [], [],
                                    min(left, 5))
        if not ready:
            check(self.process.poll() is None, "%s: QEMU has ended" %
                  self.name)
            return
        data = self.process.stdout.read()
        check(data, "%s: QEMU has ended" % self.name)
        self.serial_log.write(data)
        self.serial_log.flush()
        self.text += data.decode("utf-8", "replace")

    def wait_for(self, pattern):
        end = time.monotonic() + PATIENCE
        while True:
            match = re.search(pattern, self.text)
            if match:
                before = self.text[:match.start()]
                self.text = self.text[match.end():]
                return before, match
            self._more(end)

    def boot(self):
        # What comes before the shell is there may be lost.
        self.wait_for("ready for commands")
        self.run("true")

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def run(self, command, status=0):
        """Runs a command and returns what it printed."""
        self.commands += 1
        mark = "end-%d" % self.commands
        # The mark is put together by the shell: an echo is not the answer.
        self.send(command)
        self.send("echo \"en\"\"d-%d:$?:\"" % self.commands)
        before, match = self.wait_for(mark + r":(\d+):")
        check(int(match.group(1)) == status, "%s: %s: status %s: %s" % (
            self.name, command, match.group(1), before))
        return before.replace("\r", "").strip()

    def kernel_says(self, pattern):
        """Lines of the kernel's log that match."""
        return self.run("dmesg | grep -E '%s'; true" % pattern)

    def start_writer(self, first, count, pool=4, device="/dev/vda"):
        self.run("writer %s %d %d %d >/tmp/writer 2>&1 & echo started" % (
            device, first, count, pool))
        self.run("until grep -q WRITER /tmp/writer; do usleep 100000; done")
        check("writing" in self.run("cat /tmp/writer"),
              "the writer does not write")

    def stop_writer(self):
        self.run("killall writer; wait")
        text = self.run("cat /tmp/writer")
        check("WRITER good" in text, "the writer says: " + text)
        return text

    # The monitor.

    def qmp(self, command, **arguments):
        if self.monitor is None:
            end = time.monotonic() + PATIENCE
            while not os.path.exists(self.monitor_path):
                check(time.monotonic() < end, "no monitor")
                select.select([], [], [], 0.05)
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(PATIENCE)
            link.connect(self.monitor_path)
            self.monitor = link.makefile("rw")
            self.monitor.readline()
            self.qmp("qmp_capabilities")
        self.monitor.write(json.dumps(
            {"execute": command, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:
            answer = self.hear()
            if "error" in answer:
                raise Failure("%s: %s: %s" % (
                    self.name, command, answer["error"]["desc"]))
            if "return" in answer:
                return answer["return"]
            self.events.append(answer)

    def hear(self):
        try:
            line = self.monitor.readline()
        except TimeoutError:
            raise Failure("%s: nothing from the monitor" % self.name)
        check(line, "%s: the monitor has ended" % self.name)
        return json.loads(line)

    def event(self, name):
        """Waits for an event of that name, and returns its data."""
        while True:
            event = self.events.pop(0) if self.events else self.hear()
            if event.get("event") == name:
                return event.get("data", {})

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.serial_log.close()
        self.error_log.close()
