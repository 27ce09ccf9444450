"""Makes `schema.txt`: what the schema of the Open Cybersecurity Schema Framework says of the classes and objects that
documents here are made of.

    pip install ocsf-json-schema==1.2.0 && python3 tests/ocsf/table.py > tests/ocsf/schema.txt

The package carries the framework's own export of its schema, version 1.8.0, which is under the Apache License 2.0.
"""

import importlib.resources
import json

VERSION = "1.8.0"
CLASSES = """base_event account_change authentication entity_management user_access group_management detection_finding
    http_activity api_activity datastore_activity file_hosting application_error""".split()
OBJECTS = """actor api attack cloud database device evidences file finding_info group http_request http_response location
    managed_entity metadata network_endpoint observable organization os product query_info resource_details service session
    sub_technique table tactic technique url user""".split()


def attribute(name, said):
    kind = said.get("object_type") or said["type"].removesuffix("_t")
    if said["type"] == "object_t":
        kind = "{}" + kind
    if said.get("is_array"):
        kind = "[]" + kind
    words = [said["requirement"]] if said["requirement"] == "required" else []
    words += ["deprecated"] if "@deprecated" in said else []
    words += [f"profile={profile}" for profile in said.get("profiles") or []]
    words += [f"sibling={said['sibling']}"] if "sibling" in said else []
    values = sorted(said.get("enum", {}).items(), key=lambda value: (len(value[0]), value[0]))
    return [name, kind, " ".join(words), "|".join(f"{value}={meaning['caption']}" for value, meaning in values)]


def main():
    file = importlib.resources.files("ocsf_json_schema") / "ocsf" / f"{VERSION}.json"
    schema = json.loads(file.read_text())
    print(f"# Open Cybersecurity Schema Framework {schema['version']}, Apache License 2.0, cut down by table.py: classes and")
    print("# objects with their constraints, and of each attribute name, type, requirements, and values with their captions.")
    for kind, names in [("classes", CLASSES), ("objects", OBJECTS)]:
        for name in names:
            said = schema[kind][name]
            uid = [str(said["uid"])] if kind == "classes" else []
            constraints = [f"{rule}={','.join(of)}" for rule, of in (said.get("constraints") or {}).items()]
            print(" ".join([kind, name, *uid, *constraints]))
            for line in sorted(attribute(*pair) for pair in said["attributes"].items()):
                print("\t" + "\t".join(line).rstrip("\t"))


main()
