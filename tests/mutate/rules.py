#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""rules.py TOP - the rules of tools/mutate, on faults.c: what they make of it
is in faults.expected ("rules.py TOP --update" writes it)."""
import os
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(top, "tools", "mutation"))

import rules  # noqa: E402

SPDX = "# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0\n"
CODES = rules.codes_of("#define VMMEM_EFIRST (-4097)\n"
                       "#define VMMEM_ELAST (-4098)\n")


def read(*names):
    with open(os.path.join(*names), encoding="utf-8") as file:
        return file.read()


def listing(source):
    return SPDX + "".join(
        f"{mutant.line}: {mutant.rule}: {mutant.old}  ->  {mutant.new}\n"
        for mutant in rules.mutants("lib/faults.c", source, CODES))


def same_order(source):
    """A file that moves, or has more in it, keeps the order of its faults."""
    before = rules.ranked(rules.mutants("lib/faults.c", source, CODES), "s")
    more = source + "\nint\nother(void)\n{\n\treturn 5;\n}\n"
    after = rules.ranked(rules.mutants("lib/guest/faults.c", more, CODES), "s")
    names = [mutant.name() for mutant in before]
    assert names == [mutant.name() for mutant in after
                     if mutant.function != "other"]
    other = rules.ranked(rules.mutants("lib/faults.c", source, CODES), "t")
    assert names != [mutant.name() for mutant in other]


def whole_library():
    """Each fault changes what it says, and no line changes its place."""
    codes = rules.codes_of(read(top, "include/vmmem/error.h"))
    found = 0
    for where, _, files in os.walk(os.path.join(top, "lib")):
        for name in files:
            if not name.endswith((".c", ".h")):
                continue
            source = read(where, name)
            lines = source.count("\n")
            functions = rules.function_lines(name, source)
            for mutant in rules.mutants(name, source, codes):
                harmed = mutant.applied(source)
                assert harmed != source
                assert harmed.count("\n") == lines
                assert any(first <= mutant.line <= mutant.last_line <= last
                           for first, last, _ in functions)
                found += 1
    assert found > 1000, found


def tool():
    """It lists the same with the same seed, and refuses what is not there."""
    command = [sys.executable, "-B", os.path.join(top, "tools", "mutate"),
               "--list", "--sample", "5", "--seed"]
    outputs = [subprocess.run(command + [seed, "lib"], cwd=top, check=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
               for seed in ("1", "1", "2")]
    assert outputs[0] == outputs[1] != outputs[2]
    assert outputs[0].count(b"\n") == 5
    for wrong in (["lib/none.c"], ["--rules", "none"]):
        assert subprocess.run(command + ["1"] + wrong, cwd=top, check=False,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode != 0


def main():
    source = read(here, "faults.c")
    expected = os.path.join(here, "faults.expected")
    if "--update" in sys.argv:
        with open(expected, "w", encoding="utf-8") as file:
            file.write(listing(source))
        return 0
    with tempfile.NamedTemporaryFile("w", suffix=".now") as now:
        now.write(listing(source))
        now.flush()
        if subprocess.run(["diff", "-u", expected, now.name],
                          check=False).returncode != 0:
            return 1
    same_order(source)
    whole_library()
    tool()
    return 0


if __name__ == "__main__":
    sys.exit(main())
