"""Runs one request (feast.ts) with the unmodified Feast SDK: defines, writes, reads, answers as JSON."""

import datetime
import decimal
import json
import sys
import uuid
from pathlib import Path

import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast import types as feast_types
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.type_map import python_values_to_proto_values

UTC = datetime.timezone.utc


def decoded(value):
    """A value of the request as Python has it."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        ((kind, text),) = value.items()
        return {
            "hex": bytes.fromhex,
            "decimal": decimal.Decimal,
            "uuid": uuid.UUID,
            "float": float.fromhex,
            "int": int,
            "time": lambda iso: datetime.datetime.fromisoformat(iso),
            "json": lambda inner: inner,
        }[kind](text)
    return value


def encoded(value):
    """A value that Feast gave, as JSON."""
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, uuid.UUID):
        return {"uuid": str(value)}
    if isinstance(value, datetime.datetime):
        return {"time": value.astimezone(UTC).isoformat()}
    return {"json": json.dumps(value, sort_keys=True)}


def feast_type(text):
    if text.startswith("Array("):
        return feast_types.Array(feast_type(text[len("Array(") : -1]))
    return getattr(feast_types, text)


def open_store(folder, repository):
    config = {
        "project": repository["project"],
        "registry": {
            "registry_type": "file",
            "path": str(folder / "registry.db"),
            "enable_online_feature_view_versioning": any("earlier" in v for v in repository["views"]),
        },
        "provider": "local",
        "online_store": repository["onlineStore"],
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(config))
    store = FeatureStore(repo_path=str(folder))
    source = FileSource(path=str(folder / "none.parquet"), timestamp_field="event_timestamp")
    entities = {}
    versions = []
    for view in repository["views"]:
        used = []
        for entity in view["entities"]:
            name, kind = entity["name"], ValueType[entity["type"]]
            entities.setdefault(name, Entity(name=name, join_keys=[name], value_type=kind))
            used.append(entities[name])
        for features in [*view.get("earlier", []), view["features"]]:
            schema = [Field(name=f["name"], dtype=feast_type(f["type"])) for f in features]
            for entity in used:
                dtype = feast_types.from_value_type(entity.value_type)
                schema.append(Field(name=entity.join_key, dtype=dtype))
            version = FeatureView(
                name=view["name"],
                entities=used,
                ttl=datetime.timedelta(0),
                schema=schema,
                online=True,
                source=source,
            )
            versions.append(version)
    # The definitions as they are, without looking for a file of past features.
    registry = store.registry
    for entity in entities.values():
        registry.apply_entity(entity, store.project, commit=False)
    for view in versions:
        view.entity_columns = [f for f in view.schema if f.name in [e.join_key for e in entities.values()]]
        view.features = [f for f in view.features if f not in view.entity_columns]
        registry.apply_feature_view(view, store.project, commit=False)
    registry.commit()
    views = {view.name: view for view in versions}
    store._get_provider().update_infra(
        store.project, [], list(views.values()), [], list(entities.values()), False
    )
    return store, entities, views


def write(store, entities, views, rows):
    for row in rows:
        view = views[row["view"]]
        names = sorted(row["entities"])
        keys = [
            python_values_to_proto_values([decoded(row["entities"][n])], entities[n].value_type)[0]
            for n in names
        ]
        types = {f.name: f.dtype.to_value_type() for f in view.features}
        values = {
            name: python_values_to_proto_values([decoded(value)], types[name])[0]
            for name, value in row["values"].items()
        }
        time = datetime.datetime.fromisoformat(row["time"])
        store._get_provider().online_write_batch(
            store.config, view, [(EntityKey(join_keys=names, entity_values=keys), values, time, None)], None
        )


def read(store, asked):
    rows = [{name: decoded(v) for name, v in row.items()} for row in asked["entities"]]
    found = store.get_online_features(
        features=asked["features"], entity_rows=rows, full_feature_names=True
    ).to_dict()
    names = [ref.replace(":", "__") for ref in asked["features"]]
    return [
        {ref: encoded(found[name][i]) for ref, name in zip(asked["features"], names)}
        for i in range(len(rows))
    ]


def main():
    folder = Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text())
    store, entities, views = open_store(folder, request["repository"])
    write(store, entities, views, request.get("write", []))
    answers = [read(store, asked) for asked in request.get("read", [])]
    (folder / "answer.json").write_text(json.dumps(answers))


main()
