"""Reads features through a repository as it is; see feast-export.ts."""

import json
import sys
from pathlib import Path

import pandas as pd
from feast import FeatureStore
from feast.cli.cli import cli


def shown(value):
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray":
        return [shown(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if not isinstance(value, float) and pd.isna(value):
        return None
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "item"):
        return shown(value.item())
    return str(value)


def read(store, asked):
    names = [ref.replace(":", "__") for ref in asked["features"]]
    found = store.get_online_features(
        features=asked["features"], entity_rows=asked["entities"], full_feature_names=True
    ).to_dict()
    online = [
        {ref: shown(found[name][i]) for ref, name in zip(asked["features"], names)}
        for i in range(len(asked["entities"]))
    ]
    history = []
    if "times" in asked:
        frame = pd.DataFrame(asked["entities"])
        frame["event_timestamp"] = [pd.Timestamp(time) for time in asked["times"]]
        frame["place"] = range(len(frame))
        rows = store.get_historical_features(
            entity_df=frame, features=asked["features"], full_feature_names=True
        ).to_df()
        by_place = {int(row["place"]): row for row in rows.to_dict(orient="records")}
        for i in range(len(frame)):
            # Feast leaves out an entity of which it knows rows, and none of them in its time.
            row = by_place.get(i, {})
            history.append({ref: shown(row.get(name)) for ref, name in zip(asked["features"], names)})
    return {"online": online, "history": history}


def main():
    folder = Path(sys.argv[1])
    # As on the command line, in the folder of the repository.
    cli(["apply"], standalone_mode=False)
    store = FeatureStore(repo_path=str(folder))
    asked = json.loads((folder / "request.json").read_text())
    (folder / "answer.json").write_text(json.dumps([read(store, one) for one in asked]))


main()
