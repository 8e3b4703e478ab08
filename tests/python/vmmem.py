# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""All of libvmmem and its glue by ctypes, declared by reading its public headers.

load(libraries, include) returns an object that has every exported function, with
argument and result types, every constant, and every public struct as a class.
It needs no macro, no variadic call and no struct passed by value: a declaration
with anything but numbers and pointers in it is refused.
"""

import ctypes
import glob
import os
import re

NUMBERS = {
    "int": ctypes.c_int,
    "int32_t": ctypes.c_int32,
    "size_t": ctypes.c_size_t,
    "uint8_t": ctypes.c_uint8,
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
}


class Headers:
    """What the public headers declare, as text."""

    def __init__(self, include):
        text = ""
        for path in sorted(glob.glob(os.path.join(include, "vmmem", "*.h"))):
            # Bodies only: the functions are declared elsewhere.
            if os.path.basename(path) == "inline.h":
                continue
            with open(path, encoding="ascii") as header:
                text += header.read()
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        # Up to its #endif stand bodies only, to the end of the header.
        text = re.sub(r"#ifndef VMMEM_NO_INLINE\n.*?\n#endif\s+"
                      r"VMMEM_END_DECLS", "", text, flags=re.S)
        text = re.sub(r"\\\n", " ", text)
        directives = "\n".join(re.findall(r"^\s*#.*$", text, flags=re.M))
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        text = re.sub(r"\bVMMEM_(NODISCARD|(BEGIN|END)_DECLS)\b", "", text)
        # A helper's body; what stands before it declares the function.
        text = re.sub(r"\bVMMEM_INLINE\b([^{]*)\{.*?\n\}", r"\1;", text,
                      flags=re.S)

        self.constants = {
            name: int(value.rstrip("UL"), 0)
            for name, value in re.findall(
                r"#\s*define\s+(VMMEM_\w+)[ \t]+\(?(-?\d+U?|0x[0-9a-f]+U?L*)\)?[ \t]*$",
                directives, flags=re.M)
        }
        # Each as (name, body): struct name { body }; typedef struct {} name;
        struct = r"struct\s+(\w+)\s*\{([^{}]*)\}\s*;"
        typedef = r"typedef\s+struct\s*\{([^{}]*)\}\s*(\w+)\s*;"
        self.structs = re.findall(struct, text)
        self.structs += [(name, body)
                         for body, name in re.findall(typedef, text)]
        text = re.sub(struct, "", re.sub(typedef, "", text))
        self.opaque = re.findall(r"struct\s+(\w+)\s*;", text)
        text = re.sub(r"struct\s+\w+\s*;", "", text)
        # Each as (result type, name, parameters).
        self.functions = []
        for statement in text.split(";"):
            statement = " ".join(statement.split())
            if not statement:
                continue
            match = re.fullmatch(r"(.+?[ *])(vmmem_\w+) ?\((.*)\)", statement)
            if match is None:
                raise ValueError("cannot read: " + statement)
            self.functions.append(match.groups())


class Library:
    """The loaded libraries; functions are attributes, without any prefix cut."""

    def __init__(self, libraries, include):
        self.headers = Headers(include)
        self.cdlls = [ctypes.CDLL(library) for library in libraries]
        self.types = {name: type(name, (ctypes.Structure,), {})
                      for name in self.headers.opaque}
        bodies = dict(self.headers.structs)
        self.types.update((name, type(name, (ctypes.Structure,), {}))
                          for name in bodies)
        for name in bodies:
            self._complete(name, bodies)
        for name, value in self.headers.constants.items():
            setattr(self, name, value)
        for result, name, parameters in self.headers.functions:
            function = self.exported(name)
            function.restype = self.type(result)
            function.argtypes = [kind for _, kind
                                 in self._parameters(parameters)]
            setattr(self, name, function)

    def exported(self, name):
        """The function of the library that has it."""
        for cdll in self.cdlls:
            if hasattr(cdll, name):
                return getattr(cdll, name)
        raise AttributeError(f"no library exports {name}")

    def _complete(self, name, bodies):
        """Gives a struct its members, after those that are structs in it."""
        kind = self.types[name]
        if hasattr(kind, "_fields_") or name not in bodies:
            return
        members = [member for member in bodies[name].split(";")
                   if member.strip()]
        for member in members:
            inner = re.fullmatch(r"\s*struct\s+(\w+)\s+\w+\s*", member)
            if inner is not None:
                self._complete(inner.group(1), bodies)
        kind._fields_ = [self._declaration(member, True)
                         for member in members]

    def type(self, text, by_value=False):
        """The ctypes type of a C type without a name in it."""
        text = re.sub(r"\bconst\b", "", text)
        base, stars = text.replace("*", "").strip(), text.count("*")
        if base.startswith("struct "):
            kind = self.types[base.split()[1]]
        elif base in ("void", "char"):
            if stars == 0:
                if base == "char":
                    raise TypeError(text)
                return None
            kind = ctypes.c_void_p if base == "void" else ctypes.c_char_p
            stars -= 1
        elif base in self.types:
            kind = self.types[base]
        else:
            kind = NUMBERS[base]
        if (stars == 0 and not by_value and
                issubclass(kind, ctypes.Structure)):
            raise TypeError("a struct passed by value: " + text)
        for _ in range(stars):
            kind = ctypes.POINTER(kind)
        return kind

    def _declaration(self, text, by_value=False):
        """(name, type) of one parameter or member."""
        text = " ".join(text.split())
        match = re.fullmatch(r"(.+?)\(\*(\w+)\) ?\((.*)\)", text)
        if match is not None:
            result, name, parameters = match.groups()
            arguments = [kind for _, kind in self._parameters(parameters)]
            return name, ctypes.CFUNCTYPE(self.type(result), *arguments)
        match = re.fullmatch(r"(.+?[ *])(\w+)", text)
        if match is None:
            raise TypeError("cannot read: " + text)
        return match.group(2), self.type(match.group(1), by_value)

    def _parameters(self, text):
        if text.strip() == "void":
            return []
        # A comma within parentheses belongs to a callback's parameters.
        return [self._declaration(parameter) for parameter
                in re.split(r",(?![^()]*\))", text)]


def load(library, include):
    return Library(library, include)
