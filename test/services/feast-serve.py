"""`feast serve` for views that are fed by push sources; see feast-server.ts."""

import datetime
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource
from feast import types as feast_types


def feast_type(text):
    if text.startswith("Array("):
        return feast_types.Array(feast_type(text[len("Array(") : -1]))
    return getattr(feast_types, text)


def past_of(folder, name, fields):
    """An empty Parquet file for what a view's offline store gets."""
    utc = pa.timestamp("us", tz="UTC")
    columns = [("event_timestamp", utc), ("created_timestamp", utc)]
    typed = [(f.name, feast_types.from_feast_to_pyarrow_type(f.dtype)) for f in fields]
    past = folder / (name + ".parquet")
    pq.write_table(pa.schema([typed[0], *columns, *typed[1:]]).empty_table(), past)
    return FileSource(
        name=name + "_past",
        path=str(past),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )


def main():
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "request.json").read_text())
    config = {
        "project": "shop",
        "registry": str(folder / "registry.db"),
        "provider": "local",
        "online_store": {"type": "sqlite", "path": str(folder / "online.db")},
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(config))
    key, key_type = asked["entity"]["name"], feast_type(asked["entity"]["type"])
    entity = Entity(name=key, join_keys=[key], value_type=key_type.to_value_type())
    objects = [entity]
    for name, features in asked["views"].items():
        fields = [Field(name=n, dtype=feast_type(t)) for n, t in features.items()]
        source = past_of(folder, name, [Field(name=key, dtype=key_type), *fields])
        view = FeatureView(
            name=name,
            entities=[entity],
            ttl=datetime.timedelta(0),
            schema=[*fields, Field(name=key, dtype=key_type)],
            source=PushSource(name=name + "_push", batch_source=source),
        )
        objects += [source, view]
    store = FeatureStore(repo_path=str(folder))
    store.apply(objects)
    store.serve(
        host="127.0.0.1",
        port=asked["port"],
        type_="http",
        no_access_log=True,
        workers=1,
        keep_alive_timeout=30,
        registry_ttl_sec=60,
        tls_key_path="",
        tls_cert_path="",
    )


main()
