"""JSON schemas of models, each property with the docstring that stands below its field.

A field without a docstring means what a field of that name means in another model of its module, in
`Usage` or everywhere.
"""

import ast
import functools
import inspect
import itertools
import re
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from synaxis_billing.usage.dimensions import Usage

_EVERYWHERE = {
    "id": "Id, a UUID that the server made.",
    "organization_id": "Id of the organization.",
    "created_at": "Time of creation.",
    "previous_cursor": "The cursor of the page before; null on the first one.",
    "next_cursor": "The cursor of the next page; null on the last one.",
    "type": "Type of the event.",
    "data": "What changed. It names no person.",
}


class Described(GenerateJsonSchema):
    """pydantic's schemas, with a description of each property in place of its title."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Return False: generators would name a type after each title."""
        return False

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        """Show a model's own fields where its serializer only leaves some out."""
        wraps: bool = schema["type"] == "function-wrap"
        return None if wraps else super().ser_schema(schema)

    def normalize_name(self, name: str) -> str:
        """Return `SpendLogPage` for Page[SpendLog]: generated clients cannot write the brackets."""
        return super().normalize_name(re.sub(r"(\w+)\[(\w+)\]", r"\2\1", name))

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        found["title"] = self.normalize_name(model.__name__)
        found["description"] = paragraphs(inspect.getdoc(model) or "")
        for name, field in model.model_fields.items():
            shown = found["properties"].get(field.serialization_alias or field.alias or name)
            if shown is not None and (description := _describe(model, name)):
                shown["description"] = description
        return found


def paragraphs(text: str) -> str:
    """Return a docstring with each paragraph in one line."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is left out and never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    others = {name: of for name, of in schema.items() if name not in ("anyOf", "default")}
    return {**others, **kinds[0]}


def _describe(model: type[BaseModel], name: str) -> str | None:
    neighbours = vars(sys.modules[model.__module__]).values()
    for other in (*model.__mro__, *neighbours, Usage):
        is_model = isinstance(other, type) and issubclass(other, BaseModel)
        if is_model and name in (documented := _documented(other)):
            return documented[name]
    return _EVERYWHERE.get(name)


@functools.cache
def _documented(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstrings below the fields that a model itself declares."""
    if model is BaseModel or model.__pydantic_generic_metadata__["origin"]:
        return {}
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in itertools.pairwise(definition.body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = paragraphs(text)
    return found


def models_and_names(
    inputs: list[tuple[Any, JsonSchemaMode, CoreSchema]],
) -> tuple[dict[Any, JsonSchemaValue], dict[str, JsonSchemaValue]]:
    """Return the schema of each input, by its key, and the models that they name."""
    generator = Described(ref_template="#/components/schemas/{model}")
    found, models = generator.generate_definitions(inputs)
    for name, schema in models.items():
        schema.setdefault("title", name)
    return {key: schema for (key, _), schema in found.items()}, {
        str(name): of for name, of in models.items()
    }
