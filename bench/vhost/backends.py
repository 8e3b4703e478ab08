# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""The back ends that are measured, and tables of what came of it."""
import os
import platform
import select
import statistics
import subprocess

OURS = "ours"
# The daemon's ways: with what engine, and whether on a thread of its own.
DAEMONS = {
    "threads": ("threads", False),
    "io_uring": ("io_uring", False),
    "threads, iothread": ("threads", True),
    "io_uring, iothread": ("io_uring", True),
}
PATIENCE = 60  # s, until a back end that does not listen counts as broken


def daemon_command(way, disk, path, queues):
    aio, iothread = DAEMONS[way]
    command = ["qemu-storage-daemon"]
    if iothread:
        command += ["--object", "iothread,id=io"]
    # It would not share the file with the others.
    command += [
        "--blockdev", "driver=file,node-name=disk,filename=%s,aio=%s,"
        "cache.direct=off,locking=off" % (disk, aio),
        "--export", "type=vhost-user-blk,id=export,node-name=disk,"
        "addr.type=unix,addr.path=%s,writable=on,num-queues=%d%s" % (
            path, queues, ",iothread=io" if iothread else "")]
    return command


def ours_command(program, disk, path, queues):
    return [program, "--socket", path, "--file", disk,
            "--queues", str(queues)]


class BackEnds:
    """All of them, on one file."""

    def __init__(self, directory, program, disk, queues, prefix=()):
        self.parts = {}
        self.log = open(os.path.join(directory, "backends.log"), "wb")
        for i, name in enumerate([OURS, *DAEMONS]):
            path = os.path.join(directory, "%d.sock" % i)
            if os.path.exists(path):
                os.unlink(path)
            command = (ours_command(program, disk, path, queues)
                       if name == OURS else
                       daemon_command(name, disk, path, queues))
            process = subprocess.Popen(
                [*prefix, *command], stdin=subprocess.DEVNULL,
                stdout=self.log, stderr=self.log)
            self.parts[name] = (path, process)
        for path, process in self.parts.values():
            for _ in range(PATIENCE * 100):
                if os.path.exists(path) or process.poll() is not None:
                    break
                select.select([], [], [], 0.01)
            if not os.path.exists(path):
                self.stop()
                raise SystemExit("a back end does not listen: see " +
                                 self.log.name)

    def stop(self):
        # The daemon ends in good order only once nobody is connected.
        for _, process in self.parts.values():
            process.kill()
            process.wait()
        self.log.close()


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True,
                              check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def machine_text():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file
                      if line.startswith("model name")), "unknown")
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "daemon": first_line(["qemu-storage-daemon", "--version"]),
        "load": os.getloadavg()[0],
    }


def spread(values, scale=1.0, digits=0):
    return "%.*f (%.*f..%.*f)" % (
        digits, statistics.median(values) * scale,
        digits, min(values) * scale, digits, max(values) * scale)


def table(samples):
    """Rows of samples as Markdown: ours, and the daemon's best way in each."""
    rows = {}
    for sample in samples:
        key = (sample["row"], sample["depth"])
        rows.setdefault(key, {}).setdefault(sample["target"], []).append(
            sample)
    lines = ["| row | depth | ours, 1000/s | MB/s | us CPU | "
             "daemon, 1000/s | MB/s | us CPU | its best way | ratio |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    summary = []
    for (row, depth), targets in rows.items():
        rates = {name: [s["requests"] / s["seconds"] for s in of]
                 for name, of in targets.items()}
        # Of a process, clock ticks: few in one sample, many in all.
        cpu = {name: 1e6 * sum(s["cpu"] for s in of) /
               sum(s["requests"] for s in of) for name, of in targets.items()}
        medians = {name: statistics.median(of) for name, of in rates.items()}
        best = max((name for name in medians if name != OURS),
                   key=medians.get)
        ratio = medians[OURS] / medians[best]
        size = targets[OURS][0]["bytes"] / 1e6
        lines.append("| %s | %d | %s | %.0f | %.1f | %s | %.0f | %.1f | %s | "
                     "%.2f |" % (
                         row, depth, spread(rates[OURS], 1e-3, 1),
                         medians[OURS] * size, cpu[OURS],
                         spread(rates[best], 1e-3, 1), medians[best] * size,
                         cpu[best], best, ratio))
        summary.append({"row": row, "depth": depth, "ratio": ratio,
                        "best": best, "medians": medians, "cpu_us": cpu})
    return "\n".join(lines), summary
