"""A section of params.yaml -> the options that a library function takes."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from oragen.config.section import Section

Options = TypeVar("Options")


def fill(
    options: type[Options], section: Section, *, field_of: Callable[[str], str] = str, **others: Any
) -> Options:
    """Make a dataclass of options from the keys of a section that name its fields.

    Args:
        options: the dataclass; a field that is filled by neither the section nor `others` keeps
            its default, and it is a `TypeError` if it has none.
        section: keys that name no field are not used.
        field_of: a key -> the field it names, where they differ.
        others: fields that the section does not have, or not in this form.
    """
    known = {field.name for field in fields(options)}  # type: ignore[arg-type]
    named = {field_of(key): getattr(section, key) for key in type(section).model_fields}
    taken = {field: value for field, value in named.items() if field in known}
    return options(**taken | others)
