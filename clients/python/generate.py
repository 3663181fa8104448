"""Write the generated modules of the client from docs/openapi.json: `models.py`, what the API
answers; `requests.py`, what it takes; `operations.py`, a function and two methods for each route.

Run it by `make client-models`; `generate.py FOLDER` writes to another folder.
"""

import json
import keyword
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "openapi.json"
PACKAGE = HERE / "src" / "synaxis_billing_client"
HEADER = """\
# Generated from docs/openapi.json by clients/python/generate.py; do not edit.
# ruff: noqa: E501"""
WIDTH = 100
# POSTs without a key whose second effect is none, besides those with a key.
REPEATABLE = {
    "create_charges",  # its items have keys
    "create_quote",
    "draft_invoice",
    "issue_invoice",
    "pay_invoice",
    "cancel_invoice",
    "invalidate_cache",
    "import_prices",
    "create_document_link",
}
Json = dict[str, Any]
JSON = "application/json"


def main(folder: Path) -> None:
    document = json.loads(DOCUMENT.read_text())
    operations = [
        Operation.read(document, method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        # Brokers and collectors, which send usage events, have senders of their own.
        if not path.startswith("/v1/usage-events") or "requestBody" not in operation
    ]
    answers = {name for operation in operations for name in operation.answers.values() if name}
    taken = {operation.body for operation in operations if operation.body}
    write(folder / "models.py", classes(document, answers | {"Problem"}, answer_field, MODELS))
    requests = classes(document, taken, request_field, REQUESTS)
    write(folder / "requests.py", f"{requests}\n\n{decimal_fields(requests)}")
    write(folder / "operations.py", "\n".join(module_of(operations)))
    for tool in (["format", "--quiet"], ["check", "--fix", "--quiet"], ["format", "--quiet"]):
        rules = ["--config", str(HERE.parents[1] / "pyproject.toml")]
        ruff = [sys.executable, "-m", "ruff", *tool, *rules]
        subprocess.run([*ruff, *(str(folder / name) for name in NAMES)], check=True)


NAMES = ("models.py", "requests.py", "operations.py")
MODELS = ("pydantic_v2.BaseModel", "--use-annotated", "--enum-field-as-literal", "none")
REQUESTS = ("typing.TypedDict", "--enum-field-as-literal", "all")


def write(path: Path, text: str) -> None:
    path.write_text(f"{text.rstrip()}\n")


# ---- classes, by datamodel-code-generator -------------------------------------------------------


def classes(document: Json, roots: set[str], change: Any, kind: tuple[str, ...]) -> str:
    """The classes of the named schemas, and of those that they refer to."""
    schemas: Json = document["components"]["schemas"]
    wanted = sorted(reachable(schemas, roots))
    inlined = {name for name in wanted if change is answer_field and "enum" in schemas[name]}
    chosen = {
        name: changed(schemas[name], change, schemas) for name in wanted if name not in inlined
    }
    with tempfile.TemporaryDirectory() as work:
        source, target = Path(work) / "document.json", Path(work) / "made.py"
        slim = {**document, "paths": {}, "components": {"schemas": chosen}}
        slim.pop("webhooks", None)
        source.write_text(json.dumps(slim))
        command = [
            *(str(Path(sys.executable).parent / "datamodel-codegen"), "--input", str(source)),
            *("--input-file-type", "openapi", "--output", str(target), "--output-model-type"),
            *kind,
            *("--target-python-version", "3.12", "--disable-timestamp", "--formatters", "builtin"),
            *("--use-schema-description", "--use-field-description", "--use-union-operator"),
            *("--custom-file-header", HEADER, "--openapi-scopes", "schemas"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return target.read_text()


def reachable(schemas: Json, names: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schemas[name]))
    return found


def changed(schema: Any, change: Any, schemas: Json) -> Any:
    if isinstance(schema, list):
        return [changed(part, change, schemas) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: changed(of, change, schemas) for field, of in value.items()}
        if name == "properties"
        else changed(value, change, schemas)
        for name, value in change(schema, schemas).items()
    }


def is_decimal(schema: Json) -> bool:
    pattern = schema.get("pattern", "")
    return bool(re.fullmatch(pattern, "20")) and not re.fullmatch(pattern, "x")


def answer_field(schema: Json, schemas: Json) -> Json:
    """Rules are the API's; a client that checked them would break by the first new value."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and "enum" in schemas[name]:
        values = ", ".join(f"`{value}`" for value in schemas[name]["enum"])
        told = schema.get("description", "")
        # A problem's code has as many values as there are refusals.
        known = f" One of {values}, or one of a later version." if len(values) < 400 else ""
        return {"type": "string", "description": f"{told}{known}".strip()}
    if is_decimal(schema):
        return {"type": "string", "format": "decimal", "description": schema.get("description", "")}
    dropped = {"pattern", "examples", "example", "minLength", "maxLength", "minimum", "maximum"}
    dropped |= {"const", "additionalProperties"} if "properties" in schema else {"const"}
    kept = {name: value for name, value in schema.items() if name not in dropped}
    if "properties" in kept and kept.get("title") == "Problem":
        # API Gateway, Lambda and proxies answer bodies of their own.
        kept["properties"] = {
            name: {**field, "type": [field["type"], "null"], **decimal_if(name)}
            if type_of(field)
            else field
            for name, field in kept["properties"].items()
        }
    return kept


def decimal_if(name: str) -> Json:
    return {"format": "decimal"} if name.endswith("_usd") else {}


def type_of(field: Json) -> str | None:
    """The only type of a field; None where it has several, or refers to another schema."""
    kind = field.get("type")
    return kind if isinstance(kind, str) else None


def request_field(schema: Json, _: Json) -> Json:
    """Keep names and types. A decimal is a Decimal, a whole number, or a text."""
    if is_decimal(schema):
        exact = [{"type": "string", "format": "decimal"}, {"type": "integer"}, {"type": "string"}]
        decimal = {"anyOf": exact}
        return {**decimal, "description": schema.get("description", "")}
    if "oneOf" in schema:
        return {"type": "object", "description": schema.get("description", "")}
    dropped = {"pattern", "examples", "example", "default", "propertyNames", "not"}
    dropped |= {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"}
    kept = {name: value for name, value in schema.items() if name not in dropped}
    if "patternProperties" in kept:
        kept.pop("patternProperties")
        kept["additionalProperties"] = {"type": "string"}
    if "properties" in kept:
        kept.pop("additionalProperties", None)
    return kept


def decimal_fields(requests: str) -> str:
    names = sorted(set(re.findall(r"^    (\w+): .*\bDecimal\b", requests, re.M)))
    return f"# The fields that hold a decimal.\nDECIMAL_FIELDS = frozenset({names!r})"


# ---- operations ---------------------------------------------------------------------------------


class Parameter(NamedTuple):
    """A parameter: its name on the wire, in Python, and its Python type."""

    name: str
    python: str
    type: str
    required: bool


class Operation(NamedTuple):
    """A route, as the document describes it."""

    name: str
    method: str
    path: str
    doc: str
    in_path: list[Parameter]
    in_query: list[Parameter]
    body: str | None
    keyed: bool
    answers: dict[int, str | None]
    item: str | None
    documents: list[str]

    @classmethod
    def read(cls, document: Json, method: str, path: str, operation: Json) -> "Operation":
        parameters = [
            (of["in"], parameter_of(of, document)) for of in operation.get("parameters", [])
        ]
        body = operation.get("requestBody", {}).get("content", {}).get(JSON)
        answers: dict[int, str | None] = {}
        documents: list[str] = []
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if int(status) < 300 or JSON in content:
                # That of /health without a schema is the same as at 200.
                answers[int(status)] = name_of(content.get(JSON)) or answers.get(200)
                documents += [kind for kind in content if "json" not in kind]
        page = document["components"]["schemas"].get(answers.get(200) or "", {}).get("properties")
        item = None
        if page and page.keys() >= {"items", "next_cursor"}:
            item = page["items"]["items"]["$ref"].rpartition("/")[2]
        return cls(
            name=re.sub(r"(?<!^)(?=[A-Z])", "_", operation["operationId"]).lower(),
            method=method.upper(),
            path=path,
            doc=described(operation),
            in_path=[of for place, of in parameters if place == "path"],
            in_query=[
                of
                for place, of in parameters
                if place == "query" and not (item and of.name == "cursor")
                # By the method of the document.
                if not (documents and of.name == "format")
            ],
            body=name_of(body),
            keyed=any(of.name == "Idempotency-Key" for _, of in parameters),
            answers=answers,
            item=item,
            documents=documents,
        )

    @property
    def answer(self) -> str:
        names = dict.fromkeys(name or "None" for name in self.answers.values())
        return " | ".join(names)

    def signature(self, own: bool) -> str:
        taken = ["self"] if own else []
        taken += [f"{of.python}: {of.type}" for of in self.in_path]
        named = [f"{of.python}: {of.type} | None = None" for of in self.in_query]
        if self.keyed:
            named.append("idempotency_key: str | None = None")
        if named:
            taken += ["*", *named]
        if self.body:
            taken.append(f"**body: Unpack[requests.{self.body}]")
        return ", ".join(taken)

    def arguments(self) -> str:
        passed = [of.python for of in self.in_path]
        passed += [f"{of.python}={of.python}" for of in self.in_query]
        if self.keyed:
            passed.append("idempotency_key=idempotency_key")
        if self.body:
            passed.append("**body")
        return ", ".join(passed)


def described(operation: Json) -> str:
    summary, text = operation["summary"], operation["description"]
    return f"{summary}.\n\n{text}" if text else f"{summary}."


def name_of(content: Json | None) -> str | None:
    if content is None or "schema" not in content:
        return None
    return str(content["schema"]["$ref"].rpartition("/")[2])


def parameter_of(of: Json, document: Json) -> Parameter:
    schema = of["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    kinds = {"uuid": "UUID | str", "date-time": "datetime | str"}
    if "anyOf" in schema:
        # A bound of a period.
        return Parameter(of["name"], python_of(of["name"]), "datetime | date | str", False)
    kind = kinds.get(schema.get("format"), {"integer": "int"}.get(schema.get("type"), "str"))
    return Parameter(of["name"], python_of(of["name"]), kind, bool(of.get("required")))


def python_of(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def module_of(operations: list[Operation]) -> Iterator[str]:
    yield HEADER
    yield '"""The routes of the API: what each is called by, and what it answers."""\n'
    yield "import abc"
    yield "from collections.abc import AsyncIterator, Iterator"
    yield "from datetime import date, datetime"
    yield "from typing import Unpack"
    yield "from uuid import UUID\n"
    yield "from synaxis_billing_client import models, requests"
    yield "from synaxis_billing_client.calls import Call, document_of, new_call, path_of\n\n"
    for operation in operations:
        yield from function_of(operation)
    yield from client_of(operations, "Operations", "")
    yield from client_of(operations, "AsyncOperations", "async ")


def function_of(operation: Operation) -> Iterator[str]:
    answer = typed(operation.answer)
    yield f"def {operation.name}({operation.signature(own=False)}) -> Call[{answer}]:"
    names = ", ".join([repr(operation.path), *(of.python for of in operation.in_path)])
    answers = ", ".join(
        f"{status}: {f'models.{name}' if name else 'None'}"
        for status, name in operation.answers.items()
    )
    passed = [repr(operation.method), f"path_of({names})", f"{{{answers}}}"]
    if operation.in_query:
        query = ", ".join(f"{of.name!r}: {of.python}" for of in operation.in_query)
        passed.append(f"query={{{query}}}")
    if operation.body:
        passed.append("body=body")
    if operation.keyed:
        passed += ["keyed=True", "key=idempotency_key"]
    if operation.name in REPEATABLE:
        passed.append("repeatable=True")
    yield f"    return new_call({', '.join(passed)})\n\n"


def typed(answer: str) -> str:
    return re.sub(r"\b(?!None\b)\w+", lambda name: f"models.{name[0]}", answer)


def client_of(operations: list[Operation], name: str, asynchronous: str) -> Iterator[str]:
    wait, iterator = ("await ", "AsyncIterator") if asynchronous else ("", "Iterator")
    yield f"class {name}(abc.ABC):"
    yield '    """A method for each route; the client inherits them."""\n'
    yield "    @abc.abstractmethod"
    yield f"    {asynchronous}def call[T](self, call: Call[T]) -> T:"
    yield '        """Send a call, again where the contract says so, and return its answer."""\n'
    yield "    @abc.abstractmethod"
    yield f"    def pages[T](self, call: Call[object], item: type[T]) -> {iterator}[T]:"
    yield '        """Yield the items of a list, page after page."""\n'
    for operation in operations:
        made = f"{operation.name}({operation.arguments()})"
        signature = operation.signature(own=True)
        if operation.item:
            item = f"models.{operation.item}"
            yield f"    def {operation.name}({signature}) -> {iterator}[{item}]:"
            yield from docstring(operation.doc, "        ")
            yield f"        return self.pages({made}, {item})\n"
            continue
        yield f"    {asynchronous}def {operation.name}({signature}) -> {typed(operation.answer)}:"
        yield from docstring(operation.doc, "        ")
        yield f"        return {wait}self.call({made})\n"
        if operation.documents:
            signature = signature.replace(", *, ", ", media_type: str, *, ")
            signature += ", media_type: str" if "media_type" not in signature else ""
            kinds = " or ".join(f"`{kind}`" for kind in operation.documents)
            yield f"    {asynchronous}def {operation.name}_document({signature}) -> bytes:"
            yield f'        """Return the document itself, as {kinds}."""'
            yield f"        return {wait}self.call(document_of({made}, media_type))\n"


def docstring(text: str, indent: str) -> Iterator[str]:
    summary, _, rest = text.partition("\n\n")
    if not rest:
        yield f'{indent}"""{summary}"""'
        return
    yield f'{indent}"""{summary}\n'
    yield textwrap.fill(rest, WIDTH - 1, initial_indent=indent, subsequent_indent=indent)
    yield f'{indent}"""'


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else PACKAGE)
