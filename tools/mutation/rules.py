# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Small faults in C, made by rule, token by token.

mutants(path, text) returns all that the rules find in the functions of a file.
Comments, preprocessor lines, assembly and assertions are left alone.  The
reader of C below knows the style of this tree and no more than that.
"""
import bisect
import collections
import hashlib
import os
import re

RULES = {
    "compare": "< and <=, > and >=, == and !=",
    "logic": "&& and ||; ! taken away",
    "arith": "+ and -, * and /, << and >>, & and |, ++ and --",
    "constant": "a number off by one",
    "branch": "the condition of an if turned round; ?: the other way",
    "drop": "a statement left out",
    "lock": "a lock, fence or barrier left out",
    "swap": "two statements in the other order",
    "code": "another error code",
    "order": "an atomic relaxed; only by request: tests cannot tell on x86",
}

SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "&&": "||", "||": "&&",
    "+": "-", "-": "+", "*": "/", "/": "*", "<<": ">>", ">>": "<<",
    "&": "|", "|": "&", "++": "--", "--": "++",
    "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "<<=": ">>=",
    ">>=": "<<=",
}
COMPARE = {"<", "<=", ">", ">=", "==", "!="}
LOGIC = {"&&", "||"}
# With one operand they are something else.
BINARY = {"+", "-", "*", "&"}

TYPES = set("""void char short int long float double signed unsigned bool _Bool
    struct union enum const volatile static extern register typedef _Atomic
    _Alignas inline __typeof__ __int128 atomic_int atomic_uint
    atomic_bool""".split())
KEYWORDS = set("""if else while for do switch case default return goto break
    continue sizeof _Alignof""".split())
ASSEMBLY = {"asm", "__asm__", "__asm"}
ASSERTION = {"_Static_assert", "static_assert", "assert"}
LOCKS = re.compile(r"lock|fence|barrier|synchronize|signal_fence")
CODE = re.compile(r"VMMEM_E[A-Z]+$|E[A-Z0-9]{3,}$")
ORDER = re.compile(r"(memory_order_|__ATOMIC_)"
                   r"(acquire|release|acq_rel|seq_cst|"
                   r"ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)$")
NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)([uUlL]*)$")

SCANNER = re.compile(r"""
    (?P<skip>[ \t\n\r\f]+|/\*.*?\*/|//[^\n]*)
  | (?P<str>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<id>[A-Za-z_]\w*)
  | (?P<num>\.?[0-9](?:[eEpP][+-]|[\w.])*)
  | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.X | re.S)
DIRECTIVE = re.compile(r"[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*", re.S)

Token = collections.namedtuple("Token", "kind text start end")


class Mutant:
    """[start, end) of a file becomes 'text'."""

    def __init__(self, path, function, rule, start, end, text):
        self.path = path
        self.function = function
        self.rule = rule
        self.start = start
        self.end = end
        self.text = text
        # Set by mutants().
        self.line = 0
        self.last_line = 0
        self.old = ""
        self.new = ""
        self.rank = 0

    def applied(self, source):
        return source[:self.start] + self.text + source[self.end:]

    def settle(self, source):
        """Takes whole lines, before and after, for whoever reads of it."""
        first = source.rfind("\n", 0, self.start) + 1
        last = source.find("\n", self.end)
        self.line = source.count("\n", 0, self.start) + 1
        self.last_line = self.line + source.count("\n", self.start, self.end)
        self.old = words(source[first:last])
        self.new = words(source[first:self.start] + self.text +
                         source[self.end:last])

    def name(self):
        """What it is, wherever the file and the line may be."""
        return "\n".join((os.path.basename(self.path), self.function,
                          self.rule, self.old, self.new))


def words(text):
    return " ".join(text.split())


def scan(text):
    tokens = []
    at = 0
    while at < len(text):
        if at == 0 or text[at - 1] == "\n":
            directive = DIRECTIVE.match(text, at)
            if directive:
                at = directive.end()
                continue
        found = SCANNER.match(text, at)
        if found.lastgroup != "skip":
            tokens.append(Token(found.lastgroup, found.group(), at,
                                found.end()))
            at = found.end()
        else:
            # A directive may follow on the next line.
            newline = text.find("\n", at, found.end())
            comment = text.startswith("/", at)
            at = found.end() if comment or newline < 0 else newline + 1
    return tokens


def is_type(token):
    return token.kind == "id" and (token.text in TYPES or
                                   token.text.endswith("_t"))


def holds(texts, part):
    return any(texts[at:at + len(part)] == part for at in range(len(texts)))


class Function:
    """The body of one function: its statements, and then its tokens."""

    def __init__(self, path, name, tokens, codes):
        self.path = path
        self.name = name
        self.tokens = tokens
        self.codes = codes
        self.found = []
        # Tokens that are left alone, and those of declarations.
        self.opaque = set()
        self.declared = set()
        self.starts = set()
        self.block(0)
        for at in range(len(tokens)):
            if at not in self.opaque:
                self.token(at)

    def text(self, at):
        return self.tokens[at].text if at < len(self.tokens) else ""

    def add(self, rule, start, end, text):
        """Replaces the tokens [start, end)."""
        self.found.append(Mutant(self.path, self.name, rule,
                                 self.tokens[start].start,
                                 self.tokens[end - 1].end, text))

    def source(self, start, end, source):
        return source[self.tokens[start].start:self.tokens[end - 1].end]

    def closing(self, at):
        """Returns the token behind the bracket that closes the one at 'at'."""
        depth = 0
        while at < len(self.tokens):
            if self.text(at) in ("(", "[", "{"):
                depth += 1
            elif self.text(at) in (")", "]", "}"):
                depth -= 1
            at += 1
            if depth == 0:
                break
        return at

    def semicolon(self, at):
        """Returns the token behind the next one that ends a statement."""
        while at < len(self.tokens) and self.text(at) != ";":
            at = (self.closing(at) if self.text(at) in ("(", "[", "{")
                  else at + 1)
        return at + 1

    def block(self, at):
        """Reads '{ ... }'; returns the token behind it."""
        at += 1
        before = None
        while at < len(self.tokens) and self.text(at) != "}":
            start = at
            at, simple = self.statement(at)
            if simple and before:
                self.swapped(before, (start, at))
            before = (start, at) if simple else None
        return at + 1

    def swapped(self, one, two):
        """Two statements, neighbours, in the other order."""
        first, second = ([self.text(at) for at in range(*span)]
                         for span in (one, two))
        # Assignments that have nothing to do with each other.
        if ("=" in first and "=" in second and
                "(" not in first + second and
                not holds(second, first[:first.index("=")]) and
                not holds(first, second[:second.index("=")])):
            return
        self.add("swap", one[0], two[1], (one, two))

    def statement(self, at):
        """Reads one; returns the token behind it, and whether it is simple."""
        text = self.text(at)
        self.starts.add(at)
        if text == "{":
            return self.block(at), False
        if text in ("if", "while", "for", "switch"):
            return self.controlled(at), False
        if text == "do":
            at, _ = self.statement(at + 1)
            return self.semicolon(at), False
        if text in ("case", "default") or self.text(at + 1) == ":":
            while self.text(at) != ":":
                at += 1
            return at + 1, False
        end = self.semicolon(at)
        if text in ASSEMBLY or text in ASSERTION:
            self.opaque.update(range(at, end))
            return end, False
        if self.is_declaration(at):
            self.declared.update(range(at, end))
            return end, False
        if text == "return" or text == ";":
            return end, False
        # LIST_FOREACH(...) statement
        behind = self.closing(at + 1)
        if (self.text(at + 1) == "(" and behind < end and
                (self.text(behind) == "{" or
                 self.tokens[behind].kind == "id")):
            behind, _ = self.statement(behind)
            return behind, False
        self.dropped(at, end)
        return end, text not in ("goto", "break", "continue")

    def controlled(self, at):
        keyword = self.text(at)
        behind = self.closing(at + 1)
        if keyword == "if" and not self.is_equality(at + 1, behind):
            self.add("branch", at + 1, behind, "negated")
        at, _ = self.statement(behind)
        if keyword == "if" and self.text(at) == "else":
            at, _ = self.statement(at + 1)
        return at

    def is_equality(self, start, end):
        """Whether the rule for == and != turns the condition round as well."""
        texts = [self.text(at) for at in range(start, end)]
        return (len({"==", "!="} & set(texts)) == 1 and
                sum(text in SWAPS and text not in BINARY or text == "!"
                    for text in texts) == 1)

    def is_declaration(self, at):
        if is_type(self.tokens[at]):
            return True
        # "name name" and "name *name =", of a type that nobody told us of.
        if self.tokens[at].kind != "id" or self.text(at) in KEYWORDS:
            return False
        while self.text(at + 1) == "*":
            at += 1
        return (self.tokens[at + 1].kind == "id" and
                (self.tokens[at].kind == "id" or
                 self.text(at + 2) in ("=", ";", ",")))

    def dropped(self, at, end):
        called = self.text(at) if self.text(at + 1) == "(" else ""
        self.add("lock" if LOCKS.search(called) else "drop", at, end, ";")

    def is_cast(self, close):
        """Whether the bracket at 'close' ends a cast."""
        depth = 0
        at = close
        while at >= 0:
            if self.text(at) == ")":
                depth += 1
            elif self.text(at) == "(":
                depth -= 1
                if depth == 0:
                    break
            at -= 1
        inside = self.tokens[at + 1:close]
        if self.text(at - 1) in ("sizeof", "_Alignof"):
            return False
        return any(map(is_type, inside)) and all(
            token.kind == "id" or token.text == "*" for token in inside)

    def has_left(self, at):
        """Whether an operator has something on its left."""
        before = self.tokens[at - 1]
        if at in self.starts:
            return False
        if before.text == ")":
            return not self.is_cast(at - 1)
        if before.kind == "id":
            return before.text not in KEYWORDS
        return before.kind in ("num", "str") or before.text in ("]", "++",
                                                                "--")

    def declares_pointer(self, at):
        """'struct thing *name' and 'uint8_t *name'."""
        return (is_type(self.tokens[at - 1]) or
                self.text(at - 2) in ("struct", "union") or
                (at in self.declared and self.text(at - 1) == "*"))

    def token(self, at):
        token = self.tokens[at]
        if token.kind == "num":
            self.number(at)
        elif token.kind == "id":
            self.identifier(at)
        elif token.text == "?":
            self.conditional(at)
        elif token.text == "!":
            self.add("logic", at, at + 1, "")
        elif token.text in SWAPS:
            if token.text in BINARY and not self.has_left(at):
                return
            if token.text == "*" and self.declares_pointer(at):
                return
            rule = ("compare" if token.text in COMPARE else
                    "logic" if token.text in LOGIC else "arith")
            self.add(rule, at, at + 1, SWAPS[token.text])

    def number(self, at):
        found = NUMBER.match(self.text(at))
        # The size of an array in a declaration is room, no more.
        if not found or (at in self.declared and self.text(at - 1) == "["):
            return
        digits, suffix = found.groups()
        base = 16 if digits[:2] in ("0x", "0X") else 10
        value = int(digits, base)
        for other in (value + 1, value - 1):
            if other >= 0:
                text = hex(other) if base == 16 else str(other)
                self.add("constant", at, at + 1, text + suffix)

    def identifier(self, at):
        text = self.text(at)
        order = ORDER.match(text)
        if order:
            relaxed = "relaxed" if order.group(2).islower() else "RELAXED"
            self.add("order", at, at + 1, order.group(1) + relaxed)
        elif CODE.match(text) and self.text(at + 1) != "(":
            self.add("code", at, at + 1, self.codes.get(
                text, "EIO" if text != "EIO" else "EPERM"))

    def condition(self, at):
        """Where the condition before '?' begins."""
        depth = 0
        while at:
            text = self.text(at - 1)
            if depth == 0 and text in ("(", "[", "{", ",", ";", "=", "return",
                                       "?", ":"):
                break
            depth += (text in (")", "]")) - (text in ("(", "["))
            at -= 1
        return at

    def conditional(self, at):
        """'a ? b : c' gets 'c' and 'b'."""
        if self.is_equality(self.condition(at), at):
            return
        depth = 0
        colon = at + 1
        while self.text(colon) != ":" or depth:
            depth += (self.text(colon) == "?") - (self.text(colon) == ":")
            colon = (self.closing(colon)
                     if self.text(colon) in ("(", "[", "{") else colon + 1)
            if colon >= len(self.tokens):
                return
        end = colon + 1
        while self.text(end) not in (";", ",", ")", "]", "}", ":"):
            end = (self.closing(end) if self.text(end) in ("(", "[", "{")
                   else end + 1)
        self.add("branch", at + 1, end, ((at + 1, colon), (colon + 1, end)))


def functions(path, source, codes):
    tokens = scan(source)
    depth = 0
    start = name = None
    for at, token in enumerate(tokens):
        if token.text == "{":
            if depth == 0 and at and tokens[at - 1].text == ")":
                start = at
                name = called(tokens, at - 1)
            depth += 1
        elif token.text == "}":
            depth -= 1
            if depth == 0 and start is not None:
                yield Function(path, name, tokens[start:at + 1], codes)
                start = None


def called(tokens, close):
    """The name before the brackets that end at 'close'."""
    depth = 0
    while close:
        depth += (tokens[close].text == ")") - (tokens[close].text == "(")
        close -= 1
        if depth == 0:
            break
    return tokens[close].text


def resolve(function, mutant, source):
    """Text that was not known when the tokens were read."""
    old = source[mutant.start:mutant.end]
    if mutant.text == "negated":
        mutant.text = "(!" + old + ")"
    elif isinstance(mutant.text, tuple):
        one, two = mutant.text
        one = function.source(*one, source)
        two = function.source(*two, source)
        between = (old[len(one):len(old) - len(two)])
        mutant.text = two + between + one
    # Lines below stay where they are.
    if mutant.rule in ("drop", "lock"):
        mutant.text += "\n" * old.count("\n")


def codes_of(header):
    """Each code of error.h, and the one that takes its place."""
    names = re.findall(r"^#define (VMMEM_E[A-Z]+) \(", header, re.M)
    return dict(zip(names, names[1:] + names[:1]))


def mutants(path, source, codes):
    found = []
    for function in functions(path, source, codes):
        for mutant in function.found:
            resolve(function, mutant, source)
            if source[mutant.start:mutant.end] == mutant.text:
                continue
            mutant.settle(source)
            found.append(mutant)
    found.sort(key=lambda mutant: (mutant.start, mutant.rule, mutant.text))
    return found


def ranked(found, seed):
    """In an order that the seed gives, and that is much the same after a change
    of the tree: each has a place by what it is, not by where it stands."""
    seen = collections.Counter()
    for mutant in found:
        name = mutant.name()
        seen[name] += 1
        mutant.rank = hashlib.sha256(
            f"{seed}\n{seen[name]}\n{name}".encode()).digest()
    return sorted(found, key=lambda mutant: mutant.rank)


def function_lines(path, source):
    """The lines of each function, as (first, last, name)."""
    starts = [at for at, c in enumerate(source) if c == "\n"]
    return [(bisect.bisect(starts, function.tokens[0].start) + 1,
             bisect.bisect(starts, function.tokens[-1].start) + 1,
             function.name) for function in functions(path, source, {})]
