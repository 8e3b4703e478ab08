#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Measures back ends with our own front end, for tools/bench-vhost."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import backends


def measure(options, title, directory, disk):
    with open(disk, "wb") as file:
        file.truncate(options.size << 20)
    prefix = ["chrt", "-r", "1"] if options.realtime else []
    parts = backends.BackEnds(directory, options.backend, disk,
                              options.queues, prefix)
    command = [*prefix, options.front, "--file", disk, "--size",
               str(options.size), "--queues", str(options.queues),
               "--rounds", str(options.rounds), "--seconds",
               str(options.seconds), "--rows", options.rows]
    if options.poll:
        command.append("--poll")
    command += ["%s=%s,%d" % (name, path, process.pid)
                for name, (path, process) in parts.parts.items()]
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                                check=False)
    finally:
        parts.stop()
        os.unlink(disk)
    if result.returncode != 0:
        sys.exit(result.returncode)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    agreed = [line for line in lines if "features" in line]
    samples = [line for line in lines if "row" in line]
    text, summary = backends.table(samples)
    print("\n%s: features %s, protocol %s with all of them\n\n%s" % (
        title, agreed[0]["features"], agreed[0]["protocol"], text),
        flush=True)
    return {"title": title, "agreed": agreed, "samples": samples,
            "summary": summary}


def main():
    parser = argparse.ArgumentParser(prog="tools/bench-vhost")
    parser.add_argument("--front", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--backend", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--dir", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--size", type=int, default=256, help="MiB")
    parser.add_argument("--queues", type=int, default=1)
    parser.add_argument("--rows", default="", help="those with this text")
    parser.add_argument("--poll", action="store_true",
                        help="the front end looks, and never sleeps")
    parser.add_argument("--realtime", action="store_true",
                        help="all with a real-time priority")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    machine = backends.machine_text()
    print("%(processor)s, %(processors)d processors, Linux %(kernel)s, "
          "%(daemon)s, load %(load).1f" % machine)
    results = []
    for title, place in (("tmpfs", "/dev/shm"), ("page cache", options.dir)):
        with tempfile.TemporaryDirectory(dir=place) as directory:
            results.append(measure(options, title, directory,
                                   os.path.join(directory, "disk")))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "options": vars(options),
                       "results": results}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
