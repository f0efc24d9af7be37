"""Messages of any type with any values: boundaries, wrong lengths, unknown enums."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_UINTS = {FieldDescriptor.TYPE_UINT32: 32, FieldDescriptor.TYPE_UINT64: 64}


def messages(kind: Descriptor, known: dict[str, list[Any]], depth: int = 4) -> st.SearchStrategy[Message]:
    """Messages of a type.

    Args:
        known: by field's name, values that mean something to the server, so that more is reached than the first check.
    """
    fields = {f.name: _values(f, known, depth) for f in kind.fields if depth or f.message_type is None}
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: _message(kind, values))


def _message(kind: Descriptor, values: dict[str, Any]) -> Message:
    message = GetMessageClass(kind)()
    for name, value in values.items():
        if isinstance(value, Message):
            getattr(message, name).CopyFrom(value)
        else:
            setattr(message, name, value)
    return message


def _values(field: FieldDescriptor, known: dict[str, list[Any]], depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, known, depth - 1)
    if field.type in _UINTS:
        top = (1 << _UINTS[field.type]) - 1
        arbitrary: st.SearchStrategy[Any] = st.sampled_from([0, 1, 2, top, top >> 1]) | st.integers(0, top)
    elif field.type == FieldDescriptor.TYPE_ENUM:
        arbitrary = st.integers(0, 5) | st.integers(-(1 << 31), (1 << 31) - 1)
    elif field.type == FieldDescriptor.TYPE_STRING:
        arbitrary = st.text(max_size=20)
    else:
        arbitrary = st.sampled_from([0, 16, 20, 32, 36, 65]).map(bytes) | st.binary(max_size=80)
    likely = known.get(field.name)
    return st.sampled_from(likely) | arbitrary if likely else arbitrary
