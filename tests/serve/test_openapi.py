"""The OpenAPI document: of the models, and of what the interface was documented to be."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext

import pytest
from extras import skip
from jsonschema import Draft202012Validator

from mobility.errors import BadInputError
from mobility.serve.openapi import description
from mobility.sessions.creation import check_creation


@pytest.fixture(scope="module")
def document():
    return description("/")


@pytest.fixture(scope="module")
def documented(project):
    """The document of the interface, kept beside the checkout."""
    file = project.parent / "shared" / "reference" / "seed-api.txt"
    if not file.is_file():
        skip("needs the document at ../shared/reference/seed-api.txt")
    return file.read_text(encoding="utf-8")


def resolved(document, schema):
    """A schema without references, and without null beside something else."""
    if "$ref" in schema:
        return resolved(document, document["components"]["schemas"][schema["$ref"].split("/")[-1]])
    if "anyOf" in schema:
        inner = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return resolved(document, inner[0])
    return schema


def shape(document, schema):
    """The names in a schema, as an example shows them: maps by one name of any kind."""
    schema = resolved(document, schema)
    if schema.get("type") == "object" and "properties" in schema:
        return {name: shape(document, each) for name, each in schema["properties"].items()}
    if schema.get("type") == "object":
        return {"ANY_ADDITIONAL_PROPERTY": shape(document, schema["additionalProperties"])}
    if schema.get("type") == "array":
        return [shape(document, schema["items"])]
    return schema.get("type")


def example_shape(value):
    if isinstance(value, dict):
        return {name: example_shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [example_shape(value[0])]
    return {int: "number", str: "string"}[type(value)]


def examples(text):
    """Method, path and answer of each example: the last JSON object before the next request."""
    requests = list(re.finditer(r"^(GET|POST) (\S+) HTTP/1.1$", text, re.MULTILINE))
    ends = [match.start() for match in requests[1:]] + [len(text)]
    for match, end in zip(requests, ends, strict=True):
        rest = text[match.end() : end]
        bodies = []
        for start in re.finditer(r"^\{$", rest, re.MULTILINE):
            try:
                bodies.append(json.JSONDecoder().raw_decode(rest, start.start())[0])
            except ValueError:
                continue
            if "Content-Type: application/json" not in rest:
                break
        body = None if "application/json" not in rest else bodies[0]
        yield match[1].lower(), match[2], body, bodies[1] if body else bodies[0]


def test_every_endpoint_and_answer_has_the_documented_fields(document, documented):
    curl = re.search(r"curl -X (\w+)(?:.|\n)*?https://<backend-link>(\S+)", documented)
    assert curl[1].lower() in document["paths"][curl[2]]
    seen = 0
    for method, path, body, answer in examples(documented):
        operation = document["paths"][path][method]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        ours, theirs = shape(document, schema), example_shape(answer)
        names = fields(theirs)
        assert names <= fields(ours), (path, names - fields(ours))
        if body:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert fields(example_shape(body)) <= fields(shape(document, schema))
        seen += 1
    assert seen == 10


def fields(shape, before=""):
    """Names of all depths; those of maps count as one."""
    if isinstance(shape, list):
        return fields(shape[0], f"{before}[]")
    if not isinstance(shape, dict):
        return {f"{before}:{'number' if shape == 'integer' else shape}"}
    names = set()
    for name, inner in shape.items():
        is_map = name == "ANY_ADDITIONAL_PROPERTY" or name.endswith("_angle")
        names |= fields(inner, f"{before}.{'*' if is_map else name}")
    return names


def test_a_movement_excludes_the_squat(document):
    schemas = document["components"]["schemas"]
    form = {"$ref": "#/components/schemas/CreationForm", "components": {"schemas": schemas}}
    for given, is_taken in (
        ({"movement": "elbow_flexion"}, True),
        ({"exercise_name": "Overhead Squat", "movement": "elbow_flexion"}, False),
        ({}, False),
    ):
        assert Draft202012Validator(form).is_valid({"video": "a film", **given}) == is_taken
        checked = {"user_id": "p", "exercise_name": None, "session_name": None, **given}
        with nullcontext() if is_taken else pytest.raises(BadInputError):
            check_creation(**checked, body_joint_angles=["all"])


def test_it_is_served_to_everybody(server, document):
    served = server.ask("GET", "/openapi.json")
    assert served.status_code == 200
    assert served.json() == document
    assert document["openapi"].startswith("3.1")
