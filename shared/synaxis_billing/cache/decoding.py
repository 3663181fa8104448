"""Decoding of stored values: msgspec checks the types of a model's fields in a fraction of the time
that pydantic takes for its rules, which the value kept when it was stored."""

from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, TypeAliasType, Union, cast, get_args, get_origin

import msgspec
from msgspec.structs import asdict
from pydantic import BaseModel, TypeAdapter

# As model_construct() fills a model, which looks at each field once more.
_set_values, _set_named, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)


def decoder_of[T: BaseModel](model: type[T]) -> Callable[[bytes], T]:
    """Return a function that reads a model from what its `model_dump_json()` wrote.

    The function raises a ValueError for content of another shape. Raises TypeError for a model with
    a union of several kinds that are text in JSON.
    """
    if not all(field.is_required() for field in model.model_fields.values()):
        # What was left out is pydantic's to know.
        return model.__pydantic_validator__.validate_json
    kinds = {name: _plain(field.annotation) for name, field in model.model_fields.items()}
    # The models in a model are few or many: pydantic reads them from the text of their field.
    inner = [
        (name, TypeAdapter(cast("Any", model.model_fields[name].annotation)).validate_json)
        for name, kind in kinds.items()
        if kind is msgspec.Raw
    ]
    struct = msgspec.defstruct(model.__name__, kinds.items(), kw_only=True, gc=False)
    decode = msgspec.json.Decoder(struct).decode
    named, new = set(kinds), model.__new__

    def read(content: bytes) -> T:
        values = asdict(decode(content))
        for name, read_inner in inner:
            values[name] = read_inner(bytes(values[name]))
        made = new(model)
        _set_values(made, values)
        _set_named(made, named)
        _set_extra(made, None)
        _set_private(made, None)
        return made

    return read


def _plain(kind: Any) -> Any:
    """Return the type that msgspec reads: Raw for one that contains a model."""
    if isinstance(kind, TypeAliasType):
        kind = kind.__value__
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return msgspec.Raw
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _plain(inner[0])
    if origin not in (tuple, frozenset, Union, UnionType):
        return kind
    kinds = tuple(one if one is ... else _plain(one) for one in inner)
    if msgspec.Raw in kinds:
        return msgspec.Raw
    return Union[kinds] if origin in (Union, UnionType) else origin[kinds]  # noqa: UP007
