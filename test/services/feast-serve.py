"""`feast serve` for one view that is fed by a push source; see feast-server.ts."""

import datetime
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, ValueType
from feast import types as feast_types


def feast_type(text):
    if text.startswith("Array("):
        return feast_types.Array(feast_type(text[len("Array(") : -1]))
    return getattr(feast_types, text)


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
    fields = [Field(name=n, dtype=feast_type(t)) for n, t in asked["features"].items()]
    utc = pa.timestamp("us", tz="UTC")
    columns = [("user_id", pa.int64()), ("event_timestamp", utc), ("created_timestamp", utc)]
    columns += [(f.name, feast_types.from_feast_to_pyarrow_type(f.dtype)) for f in fields]
    past = folder / "past.parquet"
    pq.write_table(pa.schema(columns).empty_table(), past)
    entity = Entity(name="user_id", join_keys=["user_id"], value_type=ValueType.INT64)
    source = FileSource(
        name="past",
        path=str(past),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    view = FeatureView(
        name="users",
        entities=[entity],
        ttl=datetime.timedelta(0),
        schema=[*fields, Field(name="user_id", dtype=feast_types.Int64)],
        source=PushSource(name="users_push", batch_source=source),
    )
    store = FeatureStore(repo_path=str(folder))
    store.apply([entity, source, view])
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
