"""Reads an offline log with the unmodified Feast SDK, pyarrow and pandas; see feast-offline.ts."""

import datetime
import decimal
import json
import sys
import uuid
from pathlib import Path

import pandas as pd
import pyarrow.fs
import pyarrow.parquet as pq
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast import types as feast_types

UTC = datetime.timezone.utc


def shown(value):
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray":
        return [shown(item) for item in value]
    if isinstance(value, bytes):
        return f"bytes:{value.hex()}"
    if isinstance(value, decimal.Decimal):
        return f"decimal:{value}"
    if isinstance(value, datetime.datetime):
        return f"time:{value.astimezone(UTC).isoformat()}"
    if isinstance(value, float):
        return f"float:{value!r}"
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return f"int:{value}"


def table(asked):
    """Every row as pyarrow reads it, from a folder or a bucket, and the types of the columns."""
    filesystem = None
    if "endpoint" in asked:
        filesystem = pyarrow.fs.S3FileSystem(
            endpoint_override=asked["endpoint"],
            access_key=asked["accessKeyId"],
            secret_key=asked["secretAccessKey"],
            region="us-east-1",
            scheme="http",
        )
    found = pq.read_table(asked["path"], filesystem=filesystem)
    frame = found.to_pandas()
    return {
        "types": {field.name: str(field.type) for field in found.schema},
        "rows": [
            {name: shown(value) for name, value in row.items()}
            for row in found.sort_by("_sluice_offset").to_pylist()
        ],
        "pandasRows": len(frame),
    }


def join(folder, asked):
    """A point-in-time join: the features of each entity as they were known at its time."""
    config = {
        "project": "shop",
        "registry": str(folder / "registry.db"),
        "provider": "local",
        "online_store": {"type": "sqlite", "path": str(folder / "online.db")},
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(config))
    store = FeatureStore(repo_path=str(folder))
    entity = Entity(name="user_id", join_keys=["user_id"], value_type=ValueType.INT64)
    source = FileSource(
        name="log",
        path=asked["path"],
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    fields = [Field(name=n, dtype=getattr(feast_types, t)) for n, t in asked["features"].items()]
    view = FeatureView(
        name="users",
        entities=[entity],
        ttl=datetime.timedelta(days=asked["ttlDays"]),
        schema=[*fields, Field(name="user_id", dtype=feast_types.Int64)],
        source=source,
    )
    store.apply([entity, source, view])
    frame = pd.DataFrame(
        {
            "user_id": [one["user_id"] for one in asked["entities"]],
            "event_timestamp": [pd.Timestamp(one["at"]) for one in asked["entities"]],
        }
    )
    found = store.get_historical_features(
        entity_df=frame, features=[f"users:{name}" for name in asked["features"]]
    ).to_df()
    rows = {
        (int(row["user_id"]), row["event_timestamp"]): row for row in found.to_dict(orient="records")
    }
    answer = []
    for one in asked["entities"]:
        # Feast leaves out an entity of which it knows rows, and none of them in its time.
        row = rows.get((one["user_id"], pd.Timestamp(one["at"])), {})
        values = [row.get(name) for name in asked["features"]]
        answer.append([None if pd.isna(value) else int(value) for value in values])
    return answer


def main():
    folder = Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text())
    answer = {
        "tables": [table(asked) for asked in request["tables"]],
        "joins": [],
    }
    for i, asked in enumerate(request["joins"]):
        place = folder / str(i)
        place.mkdir()
        answer["joins"].append(join(place, asked))
    (folder / "answer.json").write_text(json.dumps(answer))


main()
