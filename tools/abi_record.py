# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""What public headers declare, as text that can be recorded and compared.

abi_record.py record MARK LITTLE BIG         items of preprocessed headers
                                             below MARK, in both byte orders
abi_record.py declared RECORD                functions that programs may call
abi_record.py sized CONSTANTS                structs that begin with their size
abi_record.py declarations OLD NEW [released]
abi_record.py constants OLD NEW
abi_record.py definitions RECORD DUMP        names of parameters, as defined
abi_record.py sizes HEADER VERSION CONSTANTS RELEASED...

The last four say what differs, and exit with
  0   nothing does
  10  something was added: programs and their sources go on
  20  sources of programs may no longer compile, or behave otherwise when they
      are compiled again; programs go on
  30  programs that were compiled before may break
tools/abi calls them; abi/README.md says what is judged how.
"""

import re
import sys
import xml.etree.ElementTree

SAME, ADDED, SOURCE, BROKEN = 0, 10, 20, 30

TOKEN = re.compile(r'[A-Za-z_]\w*|\d[\w.]*|"(?:\\.|[^"])*"|\.\.\.|->|<<=|>>=|'
                   r"'(?:\\.|[^'])*'|[-+*/%&|^=!<>]=|<<|>>|&&|\|\||\+\+|--|\S")
QUALIFIERS = {"const", "volatile"}
DROPPED = {"extern", "static", "inline", "__inline__", "__inline", "restrict",
           "__restrict", "__restrict__", "__extension__"}
WORDS = {"void", "char", "short", "int", "long", "unsigned", "signed", "float",
         "double", "_Bool"} | QUALIFIERS
# These cost a compiled program nothing, and a source a warning at most.
MILD = {"warn_unused_result", "deprecated"}


class Refused(Exception):
    """Something that is not understood; nothing is guessed."""


def tokens_of(text):
    return TOKEN.findall(text)


def text_of(tokens):
    text = " ".join(tokens)
    text = re.sub(r" ([,;)\]])", r"\1", text)
    text = re.sub(r"([(\[]) ", r"\1", text)
    return re.sub(r"(\w) \((?!\*)", r"\1(", re.sub(r"\* (?=[\w*])", "*", text))


def closing(tokens, at):
    """The index of what closes the bracket at 'at'."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index] in "([{":
            depth += 1
        elif tokens[index] in ")]}":
            depth -= 1
            if depth == 0:
                return index
    raise Refused("a bracket is not closed: " + text_of(tokens))


def split(tokens, at):
    """'tokens' without brackets around, cut at each 'at' outside of any."""
    parts, depth = [[]], 0
    for token in tokens:
        depth += (token in "([{") - (token in ")]}")
        if token == at and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def without_attributes(tokens):
    """The rest, and the attributes as a set of texts without underscores."""
    rest, attributes, index = [], set(), 0
    while index < len(tokens):
        if tokens[index] in ("__attribute__", "__attribute"):
            end = closing(tokens, index + 1)
            for one in split(tokens[index + 3:end - 1], ","):
                one[0] = re.sub(r"^__(\w+)__$", r"\1", one[0])
                attributes.add(text_of(one))
            index = end
        elif tokens[index] == "_Noreturn":
            attributes.add("noreturn")
        elif tokens[index] not in DROPPED:
            rest.append(tokens[index])
        index += 1
    return rest, attributes


class Variable:
    """A parameter, a member, or a result, which has no name."""

    def __init__(self, tokens, name=True):
        self.name, self.parameters = "", None
        for index in range(len(tokens) - 3):
            if tokens[index:index + 2] == ["(", "*"] and \
                    tokens[index + 3] == ")":
                self.name = tokens[index + 2]
                self.type = tokens[:index]
                inner = tokens[index + 5:closing(tokens, index + 4)]
                self.parameters = parameters_of(inner)
                return
        array = []
        if "[" in tokens:
            start = tokens.index("[")
            tokens, array = tokens[:start], tokens[start:]
        words = [token for token in tokens if re.match(r"[A-Za-z_]", token)
                 and token not in QUALIFIERS]
        if name and words and tokens[-1] not in WORDS and \
                re.match(r"[A-Za-z_]", tokens[-1]) and \
                len(words) > (2 if "struct" in words else 1):
            self.name, tokens = tokens[-1], tokens[:-1]
        self.type = list(tokens) + array

    def plain(self):
        """The type, without qualifiers of the value itself."""
        tokens = list(self.type)
        if "*" not in tokens:
            return [token for token in tokens if token not in QUALIFIERS]
        while tokens[-1] in QUALIFIERS:
            tokens.pop()
        return tokens

    def bare(self):
        return [token for token in self.plain() if token not in QUALIFIERS]

    def text(self):
        if self.parameters is not None:
            return text_of(self.type + ["(", "*", self.name, ")"]) + \
                "(" + texts_of(self.parameters) + ")"
        array = []
        tokens = self.plain()
        if "[" in tokens:
            start = tokens.index("[")
            tokens, array = tokens[:start], tokens[start:]
        return text_of(tokens + [self.name] * bool(self.name) + array)


def texts_of(variables):
    return ", ".join(one.text() for one in variables) or "void"


def parameters_of(tokens):
    if tokens in ([], ["void"]):
        return []
    return [Variable(part) for part in split(tokens, ",")]


class Function:
    def __init__(self, tokens, body=None):
        self.body = body
        # One that is in a header alone: there is no function to fall back to.
        self.is_static = "static" in tokens
        tokens, self.attributes = without_attributes(tokens)
        for index in range(1, len(tokens) - 1):
            if tokens[index + 1] == "(" and re.match(r"\w", tokens[index]):
                break
        else:
            raise Refused("no function: " + text_of(tokens))
        self.name = tokens[index]
        self.result = Variable(tokens[:index], False)
        end = closing(tokens, index + 1)
        self.parameters = parameters_of(tokens[index + 2:end])

    def text(self):
        text = text_of(self.result.type)
        text += ("" if text.endswith("*") else " ") + self.name
        text += "(" + texts_of(self.parameters) + ")"
        if self.attributes:
            text += " __attribute__((" + ", ".join(sorted(self.attributes)) + \
                "))"
        if self.body is None:
            return text + ";"
        return ("static" if self.is_static else "extern") + " __inline__ " + \
            text + " " + " ".join(self.body)


class Struct:
    def __init__(self, tokens):
        start = tokens.index("{")
        end = closing(tokens, start)
        head = [token for token in tokens[:start]]
        tail, self.attributes = without_attributes(tokens[end + 1:])
        self.typedef = "typedef" in head
        self.name = tail[0] if self.typedef else "struct " + head[-1]
        self.members = [Variable(part)
                        for part in split(tokens[start + 1:end], ";")]

    def is_sized(self):
        first = self.members[0]
        return (first.type, first.name) == (["size_t"], "size")

    def text(self):
        members = " ".join(one.text() + ";" for one in self.members)
        attributes = ""
        if self.attributes:
            attributes = " __attribute__((" + \
                ", ".join(sorted(self.attributes)) + "))"
        if self.typedef:
            return "typedef struct { " + members + " } " + self.name + \
                attributes + ";"
        return self.name + " { " + members + " }" + attributes + ";"


class Typedef:
    def __init__(self, tokens):
        self.tokens = tokens
        rest, _ = without_attributes(tokens)
        pointer = re.search(r"\( ?\* ?(\w+) ?\)", " ".join(rest))
        self.name = pointer.group(1) if pointer else rest[-1]

    def text(self):
        return text_of(self.tokens) + ";"


def items_of(text):
    """Functions, bodies, structs and typedefs, each by its name."""
    functions, bodies, structs, typedefs = {}, {}, {}, {}
    item, depth = [], 0
    for token in tokens_of(text):
        depth += (token in "([{") - (token in ")]}")
        ends = token == ";" and depth == 0
        if not ends:
            item.append(token)
        is_type = item[:1] in (["struct"], ["typedef"], ["union"], ["enum"])
        is_body = token == "}" and depth == 0 and not is_type
        if not ends and not is_body:
            continue
        if is_body:
            start = item.index("{")
            one = Function(item[:start], item[start:])
            bodies[one.name] = one
        elif item[:1] == ["_Static_assert"] or not item:
            pass
        elif is_type and "{" in item and "(" not in item[:item.index("{")]:
            one = Struct(item)
            structs[one.name] = one
        elif item[0] == "typedef":
            one = Typedef(item)
            typedefs[one.name] = one
        elif not (is_type and len(item) == 2):
            one = Function(item)
            functions[one.name] = one
        item = []
    if item:
        raise Refused("no end: " + text_of(item))
    return {"function": functions, "body": bodies, "struct": structs,
            "typedef": typedefs}


def items_below(mark, path):
    """Items of preprocessed text that stand in files below 'mark'."""
    kept, keep = [], False
    for line in read(path).split("\n"):
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            keep = mark in marker.group(1)
        elif keep and not line.startswith("#"):
            kept.append(line + "\n")
    return items_of("".join(kept))


def record(mark, little, big):
    """One line each, sorted; of bodies that ask for the byte order, both."""
    items, others = items_below(mark, little), items_below(mark, big)
    for name, one in items["body"].items():
        other = others["body"][name].body
        if one.body != other:
            one.body = ["{", "little"] + one.body + ["big"] + other + ["}"]
    for group in items.values():
        for _, one in sorted(group.items()):
            print(one.text())


def declared(path):
    """The functions that a program may call."""
    items = items_of(read(path))
    return sorted(set(items["function"]) | {
        name for name, one in items["body"].items()
        if 'visibility("default")' in one.attributes})


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Verdict:
    def __init__(self):
        self.level = SAME

    def say(self, level, *words):
        self.level = max(self.level, level)
        print("abi:", *words, file=sys.stderr)

    def types(self, where, old, new, given):
        """One variable with another type; 'given' by whom, or ""."""
        if (old.parameters is None) != (new.parameters is None):
            self.say(BROKEN, where, "has another type:", old.text(), "->",
                     new.text())
            return
        if old.parameters is not None:
            self.types(where, Variable(old.type, False),
                       Variable(new.type, False), "")
            self.lists(where, old.parameters, new.parameters, "")
            return
        if old.plain() == new.plain():
            return
        if old.bare() != new.bare():
            self.say(BROKEN, where, "has another type:", old.text(), "->",
                     new.text())
            return
        # A pointer to what may change is one to what may not, too.
        more, less = {"program": (new, old), "library": (old, new),
                      "": (None, None)}[given]
        if more and old.plain().count("*") == 1 and \
                "volatile" not in old.plain() + new.plain() and \
                "const" in more.plain() and "const" not in less.plain():
            self.say(ADDED, where, "fits more programs:", new.text())
        else:
            self.say(SOURCE, "source break:", where, "is qualified otherwise:",
                     old.text(), "->", new.text())

    def lists(self, where, old, new, given):
        """Parameters of a function, or of a callback."""
        if len(old) != len(new):
            self.say(BROKEN, where, "has other parameters:", texts_of(old),
                     "->", texts_of(new))
            return
        for one, other in zip(old, new):
            self.types(where + ", " + one.name, one, other, given)
        self.names(where, old, new)

    def names(self, where, old, new, renamed=True):
        before = [one.name for one in old]
        after = [one.name for one in new]
        if before == after:
            return
        moved = [name for index, name in enumerate(after)
                 if name in before and before[index] != name]
        if moved:
            self.say(BROKEN, where, "has its parameters in another order:",
                     ", ".join(before), "->", ", ".join(after))
        elif renamed:
            self.say(ADDED, where, "calls its parameters otherwise:",
                     ", ".join(before), "->", ", ".join(after))

    def function(self, old, new):
        self.types(old.name + "()", old.result, new.result, "library")
        self.lists(old.name + "()", old.parameters, new.parameters, "program")
        self.attributes(old, new)

    def attributes(self, old, new):
        for one in sorted(new.attributes - old.attributes):
            if re.sub(r"\(.*", "", one) in MILD:
                self.say(ADDED, old.name, "became", one)
            else:
                self.say(SOURCE, "source break:", old.name, "became", one)
        for one in sorted(old.attributes - new.attributes):
            self.say(ADDED, old.name, "is no longer", one)

    def struct(self, old, new):
        before, after = old.members, new.members
        if old.attributes != new.attributes:
            self.say(BROKEN, old.name, "has other attributes")
        if len(after) < len(before):
            self.say(BROKEN, old.name, "lost a member")
            return
        if len(after) > len(before):
            if not old.is_sized() or [one.name for one in before] != \
                    [one.name for one in after[:len(before)]]:
                self.say(BROKEN, old.name, "has other members:",
                         ", ".join(one.name for one in after))
                return
            self.say(ADDED, old.name, "has new members at its end:",
                     ", ".join(one.name for one in after[len(before):]))
        for one, other in zip(before, after):
            self.types(old.name + "." + one.name, one, other, "")
            if one.name == other.name:
                continue
            if other.name in [each.name for each in before]:
                self.say(BROKEN, old.name, "has", other.name, "where",
                         one.name, "was")
            else:
                self.say(SOURCE, "source break:", old.name, "calls",
                         one.name, "otherwise:", other.name)

    def text(self, old, new):
        if old.text() != new.text():
            self.say(BROKEN, old.name, "is another type:", new.text())


def compare_declarations(old_path, new_path, released=False):
    old, new = items_of(read(old_path)), items_of(read(new_path))
    verdict = Verdict()
    judges = {"function": verdict.function, "struct": verdict.struct,
              "typedef": verdict.text}
    for kind, judge in judges.items():
        for name, one in sorted(old[kind].items()):
            if name not in new[kind]:
                verdict.say(BROKEN, "declaration removed:", one.text())
            else:
                judge(one, new[kind][name])
        for name in sorted(set(new[kind]) - set(old[kind])):
            verdict.say(ADDED, "declaration added:", new[kind][name].text())
    # Programs keep the body that they were compiled with, and a program without
    # one calls the function, if there is one.
    for name, one in sorted(old["body"].items()):
        other = new["body"].get(name)
        if other is None and one.is_static and name not in new["function"]:
            verdict.say(SOURCE, "function of a header removed:", name)
            continue
        if other is None:
            verdict.say(ADDED, "inline body removed:", name)
            continue
        verdict.function(one, other)
        if one.body != other.body and one.is_static:
            verdict.say(SOURCE, "function of a header changed:", name + "()")
        elif one.body != other.body and not released:
            verdict.say(BROKEN, "inline body changed:", name + "():",
                        "programs keep the old one, and both must do the same")
    for name in sorted(set(new["body"]) - set(old["body"])):
        verdict.say(ADDED, "inline body added:", name)
    return verdict.level


def read_constants(path):
    """Lines, and those of structs as {name: (size, align)}, {(s, m): ...}."""
    lines = [line for line in read(path).split("\n") if line]
    sizes, members = {}, {}
    for line in lines:
        match = re.fullmatch(r"(.*?)\.(\w+) offset (\d+) size (\d+)", line)
        if match:
            members[match.group(1), match.group(2)] = \
                int(match.group(3)), int(match.group(4))
            continue
        match = re.fullmatch(r"(.*) size (\d+) align (\d+)", line)
        if match:
            sizes[match.group(1)] = int(match.group(2)), int(match.group(3))
    return lines, sizes, members


def sized_of(path):
    _, sizes, members = read_constants(path)
    return {name: sizes[name] for name in sizes
            if members.get((name, "size")) == (0, 8)}


def end_of(name, members):
    return max(offset + size for (struct, _), (offset, size)
               in members.items() if struct == name)


def judge_constant(line, now, old_sizes, new_path):
    """The level of one line that is gone."""
    _, sizes, members = read_constants(new_path)
    match = re.fullmatch(r"(.*) size (\d+) align (\d+)", line)
    if match:
        name = match.group(1)
        if name not in old_sizes or name not in sizes:
            return BROKEN
        size, align = old_sizes[name]
        # New members stand behind all of the old struct: what an older program
        # has there, in padding, is garbage.
        grew = sizes[name][0] > size and sizes[name][1] == align
        return ADDED if grew and name in sized_of(new_path) else BROKEN
    match = re.fullmatch(r"(\w+) (-?\d+) (.*)", line)
    if match and any(one.startswith(f"{match.group(1)} {match.group(2)} ")
                     for one in now):
        return SOURCE
    return BROKEN


def compare_constants(old_path, new_path):
    old, old_sizes, _ = read_constants(old_path)
    new, _, members = read_constants(new_path)
    verdict = Verdict()
    sized = sized_of(old_path)
    for line in sorted(set(old) - set(new)):
        level = judge_constant(line, new, sized, new_path)
        verdict.say(level, *["source break:"] * (level == SOURCE),
                    "constant removed:", line)
    for line in sorted(set(new) - set(old)):
        level = ADDED
        match = re.fullmatch(r"(.*?)\.(\w+) offset (\d+) size (\d+)", line)
        if match and match.group(1) in old_sizes:
            name, start = match.group(1), int(match.group(3))
            if name not in sized or start < sized[name][0]:
                level = BROKEN
        verdict.say(level, "constant added:", line)
    for name, (size, _) in sorted(sized_of(new_path).items()):
        if end_of(name, members) != size:
            verdict.say(BROKEN, name, "ends in padding: give it a member")
    return verdict.level


def compare_definitions(record_path, dump_path):
    """Parameters that a definition has in another order than the header.

    It may call them otherwise.
    """
    verdict = Verdict()
    items = items_of(read(record_path))
    functions = dict(items["body"])
    functions.update(items["function"])
    dump = xml.etree.ElementTree.parse(dump_path)
    for one in dump.iter("function-decl"):
        declared = functions.get(one.get("name"))
        if declared is None or one.get("mangled-name") is None:
            continue
        names = [each.get("name", "") for each in one.iter("parameter")]
        want = [each.name for each in declared.parameters]
        if len(names) == len(want):
            verdict.names(declared.name + "(), as it is defined,",
                          declared.parameters,
                          [Named(name) for name in names], False)
    return verdict.level


class Named:
    def __init__(self, name):
        self.name = name


def sizes(header, version, constants, released):
    """The text that 'header' must have: the first size of each struct."""
    now, first = {}, {}
    for path in constants:
        now.update(sized_of(path))
    for path in released:
        for name, (size, _) in sized_of(path).items():
            first[name] = min(size, first.get(name, size))
    text = read(header)
    known = dict(re.findall(r"#define (VMMEM_\w+)_(SIZE_\d[\d_]*) ", text))
    lines = []
    for name, (size, _) in sorted(now.items()):
        macro = name.split()[-1].upper()
        suffix = known.get(macro, "SIZE_" + version.replace(".", "_"))
        lines.append(f"#define {macro}_{suffix} {first.get(name, size)}")
    body = re.compile(r"(?:#define VMMEM_\w+ \d+\n)+")
    return body.sub("\n".join(lines) + "\n", text, count=1)


def main(action, *arguments):
    if action == "record":
        record(*arguments)
    elif action == "declared":
        print("\n".join(declared(*arguments)))
    elif action == "sized":
        print("\n".join(sorted(sized_of(arguments[0]))))
    elif action == "declarations":
        return compare_declarations(*arguments)
    elif action == "constants":
        return compare_constants(*arguments)
    elif action == "definitions":
        return compare_definitions(*arguments)
    elif action == "sizes":
        cut = arguments.index("--")
        sys.stdout.write(sizes(arguments[0], arguments[1], arguments[2:cut],
                               arguments[cut + 1:]))
    return SAME


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Refused as refusal:
        print("abi:", refusal, file=sys.stderr)
        sys.exit(1)
