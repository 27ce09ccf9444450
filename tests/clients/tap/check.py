"""tap-salesforce, the Singer tap as it is published, against the simulator.

The tap signs in at login.salesforce.com, whatever it is told. `launch.py` beside this file brings that one call to the
simulator and leaves everything else alone: discovery, queries and pages go to the `instance_url` of the token answer. Two
runs are made over some objects, the second from the state of the first.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter

ORG = json.loads(sys.argv[1])
LAUNCH = pathlib.Path(__file__).with_name("launch.py")
# Object, its key here, and whether the tap asks for what is newer than the last time.
OBJECTS = {
    "LoginEvent": ("EventIdentifier", False),
    "LogoutEvent": ("EventIdentifier", False),
    "LoginHistory": ("Id", True),
    "SetupAuditTrail": ("Id", True),
    "ApiAnomalyEventStore": ("Id", True),
}


def control(method, path, body=None):
    request = urllib.request.Request(ORG["control_url"] + path, method=method, data=body)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def truth(name):
    return Counter(json.loads(line)["event_id"] for line in control("GET", f"/truth?object={name}").splitlines())


def check(name, condition, *more):
    if not condition:
        raise AssertionError(f"{name}: {more}")
    print(f"pass  tap-salesforce, {name}")


def run(folder, *arguments):
    command = [sys.executable, str(LAUNCH), ORG["url"], "--config", str(folder / "config.json"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"tap-salesforce {arguments} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def select(catalog):
    """Selects the objects, each with all fields that the tap supports."""
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            whole = entry["breadcrumb"] == []
            if whole and "valid-replication-keys" in entry["metadata"]:
                entry["metadata"]["replication-key"] = entry["metadata"]["valid-replication-keys"][0]
                entry["metadata"]["replication-method"] = "INCREMENTAL"
            if entry["metadata"].get("inclusion") != "unsupported":
                entry["metadata"]["selected"] = stream["stream"] in OBJECTS or not whole


def sync(folder, *arguments):
    """The keys of the records that a run gives of each object, and the state that it ends with."""
    keys, state = {name: Counter() for name in OBJECTS}, {}
    for line in run(folder, "--properties", str(folder / "catalog.json"), *arguments).splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            key, _ = OBJECTS[message["stream"]]
            keys[message["stream"]][message["record"][key]] += 1
        elif message["type"] == "STATE":
            state = message["value"]
    return keys, state


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    config = {
        "client_id": ORG["client_id"],
        "client_secret": ORG["client_secret"],
        "refresh_token": ORG["refresh_token"],
        "start_date": "2020-01-01T00:00:00Z",
        "api_type": "REST",
    }
    (folder / "config.json").write_text(json.dumps(config))
    catalog = json.loads(run(folder, "--discover"))
    found = {stream["stream"] for stream in catalog["streams"]}
    check("discovers the objects", found >= {*OBJECTS, "EventLogFile", "User", "Profile"}, found)
    select(catalog)
    (folder / "catalog.json").write_text(json.dumps(catalog))
    keys, state = sync(folder)
    for name, (key, _) in OBJECTS.items():
        wanted = truth(name)
        if key == "Id":
            # The truth may know a record by more than its own id.
            check(f"collects {name}", len(keys[name]) == len(wanted) > 0 and set(keys[name].values()) == {1}, len(keys[name]))
        else:
            check(f"collects {name}", keys[name] == wanted and wanted, len(keys[name]), len(wanted))
    (folder / "state.json").write_text(json.dumps(state))
    again, _ = sync(folder, "--state", str(folder / "state.json"))
    for name, (_, incremental) in OBJECTS.items():
        if incremental:
            check(f"goes on with {name} where it stopped", 0 < len(again[name]) <= 3, len(again[name]))
