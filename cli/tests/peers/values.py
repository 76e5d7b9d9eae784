"""Reads values with Cap'n Proto's own C++, says what it sees, and writes them anew.

A line of the file given is {"type": name, "wire": hex of a framed message, "json": the value}. A
line of the answer is {"view": what the message holds, "wire": hex of a message made of the JSON}.

JSON is as src/dynamic/json/mod.rs defines it, written here once more, but for what is behind an
AnyPointer: {"anyPointer": the Point there}, as pycapnp has no canonical form.
"""

import json
import math
import struct
import sys
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal

from peer import SCHEMA, load

every = load(SCHEMA / "every" / "every.capnp", SCHEMA / "core32")


def single(number):
    """The bits of a 32-bit number; None for what has none."""
    try:
        return struct.pack("<f", number)
    except OverflowError:
        return None


def shortest(number):
    """The decimal of the fewest digits that reads as this 32-bit number, the nearest of them."""
    exact = Decimal(number)
    for digits in range(1, 10):
        # Of two that are as near the first is taken, the one away from zero.
        rounded = [
            Context(digits, rounding).plus(exact)
            for rounding in (ROUND_HALF_UP, ROUND_CEILING, ROUND_FLOOR)
        ]
        fitting = [near for near in rounded if single(float(near)) == single(number)]
        if fitting:
            return float(min(fitting, key=lambda near: abs(near - exact)))
    raise AssertionError(f"{number!r} is no 32-bit number")


def show_float(number, is_single):
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if is_single and number:
        return shortest(number)
    return number


def show(value, ty):
    """A value by its own type; `ty` is what the schema says, for what Python does not tell."""
    kind = ty.which() if ty else None
    if kind == "void":
        return None
    if kind == "bool":
        return bool(value)
    if kind == "enum":
        # str() fails on a value that the schema, whose one enum it is, does not have.
        return str(value) if value.raw < len(every.Colour.schema.enumerants) else value.raw
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return show_float(value, kind == "float32")
    if isinstance(value, (int, str)):
        return value
    if hasattr(value, "as_struct"):
        return {"anyPointer": show_struct(value.as_struct(every.Point))}
    if hasattr(value, "schema") and hasattr(value.schema, "fields"):
        return show_struct(value)
    element = ty.list.elementType if kind == "list" else None
    if element and element.which() == "interface":
        # None is an object: without a connection there are none to be read.
        return [None] * len(value)
    return [show(each, element) for each in value]


def show_struct(reader):
    fields = reader.schema.fields
    shown = {}
    active = reader.which() if reader.schema.union_fields else None
    for name in reader.schema.fieldnames:
        field = fields[name].proto
        if field.discriminantValue != 0xFFFF and name != active:
            continue
        if field.which() == "group":
            shown[name] = show_struct(reader._get(name))
            continue
        shown[name] = show_slot(reader, name, field.slot)
    return shown


def show_slot(reader, name, slot):
    if slot.type.which() in ("struct", "anyPointer", "interface"):
        if not reader._has(name) and not slot.hadExplicitDefault:
            # A type parameter is an anyPointer: what it is bound to tells what null stands for.
            value = reader._get(name) if slot.type.which() == "anyPointer" else None
            if isinstance(value, bytes):
                return value.hex()
            if isinstance(value, str):
                return value
            if value is None or hasattr(value, "as_struct") or hasattr(value, "schema"):
                return None
            return list(value)
    return show(reader._get(name), slot.type)


def scalar(value, kind):
    if kind == "data":
        return bytes.fromhex(value)
    if kind in ("float32", "float64"):
        return float(value)
    return value


def build_struct(builder, value):
    fields = builder.schema.fields
    for name, member in value.items():
        field = fields[name].proto
        if field.which() == "group":
            build_struct(builder.init(name), member)
            continue
        kind = field.slot.type.which()
        if kind == "struct":
            if member is not None:
                build_struct(builder.init(name), member)
            elif field.discriminantValue != 0xFFFF:
                # A union's member that is null.
                builder.init(name)
                builder.disown(name)
        elif kind == "list":
            build_list(builder.init(name, len(member)), member, field.slot.type.list.elementType)
        elif kind == "anyPointer":
            build_bound(builder, name, member)
        elif kind == "interface":
            assert member is None
        else:
            builder._set(name, scalar(member, kind))


def build_bound(builder, name, member):
    """What a type parameter stands for, or any pointer, by the form of the value."""
    if member is None:
        return
    if isinstance(member, dict) and member.keys() == {"anyPointer"}:
        build_struct(builder._get(name).as_struct(every.Point), member["anyPointer"])
    elif isinstance(member, dict):
        build_struct(builder.init(name), member)
    elif isinstance(member, list):
        # Of numbers, in this schema.
        target = builder.init(name, len(member))
        for index, each in enumerate(member):
            target[index] = each
    else:
        builder._set(name, member)


def build_list(target, values, element):
    kind = element.which()
    for index, value in enumerate(values):
        if kind == "interface":
            assert value is None
        elif kind == "struct":
            build_struct(target[index], value)
        elif kind == "list":
            build_list(target.init(index, len(value)), value, element.list.elementType)
        elif kind == "enum" and isinstance(value, int):
            target[index] = unknown(value)
        else:
            target[index] = scalar(value, kind)


def unknown(number):
    """An enum's value without a name; a list takes no number."""
    holder = every.Every.new_message()
    holder.enum = number
    return holder.enum


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            given = json.loads(line)
            ty = getattr(every, given["type"])
            with ty.from_bytes(bytes.fromhex(given["wire"])) as reader:
                view = show_struct(reader)
            message = ty.new_message()
            build_struct(message, given["json"])
            print(json.dumps({"view": view, "wire": message.to_bytes().hex()}))


main()
