# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A copy of the tree, its builds, its test programs, and which lines each of
them runs."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

SKIPPED = 77


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def output(*command, **options):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE, **options).stdout


def tracked(top):
    """The files that git has or would take, else all but builds."""
    try:
        names = output("git", "ls-files", "-z", "--cached", "--others",
                       "--exclude-standard", cwd=top,
                       stderr=subprocess.DEVNULL).split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = []
        for where, dirs, files in os.walk(top):
            dirs[:] = [name for name in dirs
                       if name != ".git" and not name.startswith("build")]
            names += [os.path.relpath(os.path.join(where, name), top)
                      for name in files]
    return sorted(name for name in names
                  if name and os.path.isfile(os.path.join(top, name)))


def members_of(session):
    """The processes of a session: Check gives each test a group of its own."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii",
                      errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            found.append(int(name))
    return found


def end_session(session):
    for number in members_of(session):
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Test:
    def __init__(self, name, command, environment, locked):
        self.name = name
        self.command = command
        self.environment = environment
        # It needs something of which the machine has one.
        self.locked = locked
        self.shared = False
        self.seconds = 0.0

    def target(self, build):
        return os.path.relpath(self.command[0], build)

    def run(self, limit, scratch):
        """Returns "passed", "skipped", "failed" or "timeout"."""
        environment = dict(os.environ, TMPDIR=scratch, **self.environment)
        before = time.monotonic()
        # Who takes all memory is ended before anybody else is.
        process = subprocess.Popen(
            ["sh", "-c", "ulimit -c 0; echo 1000 >/proc/$$/oom_score_adj; "
             'exec "$@"', "sh", *self.command], env=environment, cwd=scratch,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        end_session(process.pid)
        process.wait()
        self.last = time.monotonic() - before
        if code is None:
            return "timeout"
        return {0: "passed", SKIPPED: "skipped"}.get(code, "failed")


class Tree:
    """A copy of 'top' in 'place', to do with what one likes."""

    def __init__(self, top, place):
        self.top = top
        self.source = os.path.join(place, "source")
        self.build = os.path.join(place, "build")
        self.coverage = os.path.join(place, "coverage")
        self.scratch = os.path.join(place, "scratch")
        self.place = place
        self.libraries = {}
        # Lines that are code, of each file that the coverage build has seen.
        self.code = {}

    def synchronize(self):
        """Makes the copy what the tree is now, also after a run that was
        killed.  What is the same keeps its time, so little is built."""
        names = tracked(self.top)
        os.makedirs(self.source, exist_ok=True)
        kept = set(names)
        for where, _, files in os.walk(self.source):
            for name in files:
                path = os.path.join(where, name)
                if os.path.relpath(path, self.source) not in kept:
                    os.unlink(path)
        for name in names:
            old = os.path.join(self.top, name)
            new = os.path.join(self.source, name)
            if (os.path.exists(new) and digest(old) == digest(new) and
                    os.stat(old).st_mode == os.stat(new).st_mode):
                continue
            os.makedirs(os.path.dirname(new), exist_ok=True)
            shutil.copyfile(old, new)
            shutil.copymode(old, new)

    def write(self, name, text):
        """Its time is now: ninja builds what hangs on it again."""
        with open(os.path.join(self.source, name), "w",
                  encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.source, name), encoding="utf-8") as file:
            return file.read()

    def configure(self, build, *options):
        output("cmake", "-G", "Ninja", "-S", self.source, "-B", build,
               "-DVMMEM_WERROR=OFF", "-DVMMEM_EXAMPLES=OFF",
               # A program need not be linked again for another library.
               "-DCMAKE_LINK_DEPENDS_NO_SHARED=ON", *options)

    def ninja(self, build, *targets, log=None):
        """Returns whether it built; prints to 'log' or not at all."""
        result = subprocess.run(["ninja", "-C", build, *targets],
                                stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.STDOUT, check=False)
        if log is not None and result.returncode != 0:
            log.write(result.stdout[-4000:])
        return result.returncode == 0

    def clear_scratch(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        os.makedirs(self.scratch)

    def tests(self, build):
        """The test programs: what ctest has under the label 'program' and
        that is one, not a script."""
        found = []
        listing = json.loads(output("ctest", "--test-dir", build,
                                    "--show-only=json-v1"))
        for test in listing["tests"]:
            properties = {p["name"]: p["value"] for p in test["properties"]}
            command = test.get("command", [])
            if ("program" not in properties.get("LABELS", []) or
                    not command or not command[0].startswith(build)):
                continue
            environment = dict(
                value.split("=", 1)
                for value in properties.get("ENVIRONMENT", []) if value)
            found.append(Test(test["name"], command, environment,
                              "RESOURCE_LOCK" in properties or
                              "RUN_SERIAL" in properties))
        for test in found:
            needed = output("readelf", "-d", test.command[0])
            test.shared = "[libvmmem" in needed
        return found

    def shared_libraries(self):
        """The built libraries, and what is in them but for their debug data:
        a fault that changes nothing there is none."""
        found = {}
        for where, _, files in os.walk(self.build):
            for name in files:
                path = os.path.join(where, name)
                if (name.startswith("lib") and ".so" in name and
                        not os.path.islink(path)):
                    bare = os.path.join(self.place, "bare.so")
                    output("objcopy", "--strip-all",
                           "--remove-section=.note.gnu.build-id", path, bare)
                    found[path] = digest(bare)
        return found

    def lines_run(self):
        """What the coverage build's objects have counted, and forgets it."""
        notes = []
        for where, _, files in os.walk(self.coverage):
            notes += [os.path.join(where, name) for name in files
                      if name.endswith(".gcda")]
        here = [name for name in notes
                if "/tests/" not in os.path.relpath(name, self.coverage)]
        ran = {}
        if here:
            text = output("gcov", "--json-format", "--stdout", *here,
                          cwd=self.coverage, stderr=subprocess.DEVNULL)
            for line in text.splitlines():
                self.add_lines(json.loads(line), ran)
        for name in notes:
            os.unlink(name)
        return {name: sorted(lines) for name, lines in ran.items()}

    def add_lines(self, report, ran):
        for file in report["files"]:
            name = os.path.normpath(os.path.join(self.source, file["file"]))
            name = os.path.relpath(name, self.source)
            if name.startswith("..") or name.startswith("tests/"):
                continue
            self.code[name] = sorted(
                {line["line_number"] for line in file["lines"]}.union(
                    self.code.get(name, ())))
            ran.setdefault(name, set()).update(
                line["line_number"] for line in file["lines"]
                if line["count"] != 0)
