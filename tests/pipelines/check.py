"""Real log pipelines behind `source-host`: what the simulated org has, and what of it arrives although the host is killed.

Each case starts the receiver, has source-host collect from the simulator, kills it (SIGKILL) once some events have arrived
and not all, starts it again, and compares the ids that arrived with those that the simulator says there are. One line is
printed for each: `pass`, `FAIL` or `left out`. Ends with 1 if one fails. Nothing leaves this machine.

Debian packages are looked for on PATH. INSTALL=1 fetches those that lack with apt-get and unpacks them into a folder here;
nothing is installed into the system, as syslog-ng and rsyslog would each remove the other.
"""

import argparse
import asyncio
import atexit
import collections
import gzip
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
UNPACKED = HERE / "debian"
HOURS, ROWS = 24, 5000
# So that a kill finds the collection in its midst: every download and page takes this long.
DELAY_MS = 150
DEADLINE = 60
# All of it, installing included.
LONGEST = 300
FILES = """[source.streams.login]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
[source.streams.setupaudittrail]
object = { interval = "1h" }
"""
# Only LoginEvent says from which country a login came.
OBJECTS = """[source.streams.login]
object = { interval = "5m" }
"""


class LeftOut(Exception):
    """What a case needs is not on this machine."""


class Failed(Exception):
    """A case did not hold."""


# Processes: all that were started are ended, whatever happens.

STARTED = []


def start(command, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
    STARTED.append(process)
    return process


def end(process, how=signal.SIGTERM):
    """Ends a process, and whatever is left of its group."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    if process in STARTED:
        STARTED.remove(process)


def end_all():
    for process in reversed(STARTED[:]):
        end(process, signal.SIGKILL)


def until(what, condition, seconds=DEADLINE, alive=(), step=0.03):
    """Waits for a condition, and returns what it returned. What it looks at (ports, files and answers of programs that are not ours)
    wakes nobody, so it is looked at again and again; a process's end is waited for by `wait`."""
    limit = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        for process in alive:
            if process.poll() is not None:
                raise Failed(f"{pathlib.Path(str(process.args[0])).name} ended ({process.returncode}) before {what}")
        if time.monotonic() > limit:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(step)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def answers(url):
    try:
        return get(url)
    except OSError:
        return None


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# Debian packages.


def debian(package, program, needed=None):
    """The program and the environment that it runs in, from PATH or unpacked here."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    found = shutil.which(program, path=os.pathsep.join(folders))
    if found:
        return found, None, pathlib.Path("/")
    root = UNPACKED / package
    if not (root / ".unpacked").exists():
        if os.environ.get("INSTALL") != "1":
            raise LeftOut(f"there is no {program}: INSTALL=1 unpacks Debian's {package} into tests/pipelines/debian")
        unpack(package, root, needed)
    folders = [root / "usr/sbin", root / "usr/bin"]
    found = shutil.which(program, path=os.pathsep.join(map(str, folders)))
    if not found:
        raise Failed(f"the package {package} has no {program}")
    libraries = sorted({str(path.parent) for path in root.rglob("*.so*") if "lib" in path.parent.name or "gnu" in path.parent.name})
    libraries += [str(path) for path in root.glob("usr/lib/syslog-ng")]
    return found, {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)}, root


def unpack(package, root, needed):
    if not shutil.which("apt-get"):
        raise LeftOut(f"there is no apt-get to fetch {package} with")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    packages = needed
    if not packages:
        # What an installation would add: the package, and the libraries that this machine lacks.
        plan = run(["apt-get", "-s", "install", "--no-install-recommends", package])
        packages = re.findall(r"^Inst (\S+)", plan, re.M)
    run(["apt-get", "download", "-q", *packages], cwd=root)
    for archive in root.glob("*.deb"):
        run(["dpkg", "-x", archive, root])
        archive.unlink()
    (root / ".unpacked").touch()


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=200, **options)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(f"{pathlib.Path(str(command[0])).name} ended with {done.returncode}: {words[-1] if words else ''}")
    return done.stdout


# The org, and a collection from it.


class Org:
    def __init__(self, simulator, folder):
        faults = folder / "faults.json"
        delay = {"kind": "delay", "millis": DELAY_MS}
        faults.write_text(
            json.dumps(
                [
                    {"method": "GET", "path": "/LogFile", "every": True, "action": delay},
                    {"of": "LoginEvent", "every": True, "action": delay},
                ]
            )
        )
        line = folder / "org.json"
        self.key = folder / "key.pem"
        with open(line, "w") as out:
            words = [simulator, "--hours", HOURS, "--rows", ROWS, "--page-size", 200]
            process = start([*words, "--key-file", self.key, "--faults", faults], stdout=out)
        until("the simulated org listens", lambda: line.read_text().endswith("\n"), alive=[process])
        self.about = json.loads(line.read_text())
        self.truths = {FILES: self.truth("interval=hourly") | self.truth("object=SetupAuditTrail"), OBJECTS: self.truth("object=LoginEvent")}

    def truth(self, of):
        lines = get(f"{self.about['control_url']}/truth?{of}").splitlines()
        return {json.loads(line)["event_id"] for line in lines}


class Case:
    """A folder, and a source-host that collects into some output."""

    def __init__(self, name, options, org, streams=FILES):
        self.name, self.options, self.org, self.streams = name, options, org, streams
        self.folder = options.work / name
        self.folder.mkdir()
        self.wanted = org.truths[streams]
        self.log = open(self.folder / "source-host.log", "ab")

    def configure(self, output, file="source-host.toml", state=True):
        about = self.org.about
        authority = urllib.parse.urlparse(about["url"]).netloc
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"""component = {json.dumps(str(self.options.component))}
[source]
instance_url = "{about["url"]}"
[source.auth]
flow = "jwt-bearer"
client_id = "{about["client_id"]}"
username = "{about["username"]}"
private_key = {{ file = {json.dumps(str(self.org.key))} }}
[source.batch]
max_events = 200
{self.streams}{'[state]' + chr(10) + 'path = "state.json"' if state else ""}
[output]
{output}
[egress]
allow = ["{authority}"]
"""
        )
        self.config = path
        return path

    def command(self, *words):
        return [self.options.host, "--cache", self.options.work / "cache", *words]

    def host(self, *words):
        return start(self.command(*words), stdout=self.log, stderr=self.log)

    def kill_in_the_midst(self, process, seen, pid=None):
        """Kills the host when a quarter has arrived, and not all. Returns how many had.

        At once, so that it is likely to be in the midst of a batch, or before it has saved its state.
        """
        enough = len(self.wanted) // 4
        until(f"{enough} events arrive", lambda: seen() >= enough, alive=[process], step=0.001)
        os.kill(pid() if pid else process.pid, signal.SIGKILL)
        if not pid:
            end(process)
        arrived = seen()
        if arrived >= len(self.wanted):
            raise Failed(f"all {arrived} events had arrived before the kill")
        return arrived

    def killed_and_restarted(self, seen, between=lambda: None):
        first = self.host("run", self.config)
        arrived = self.kill_in_the_midst(first, seen)
        between()
        second = self.host("run", self.config, "--until-caught-up")
        try:
            second.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise Failed(f"not within {DEADLINE} s: the second run ends") from None
        code = second.returncode
        end(second)
        if code:
            raise Failed(f"the second run ended with {code}")
        return arrived

    def judge(self, ids, killed_at, more=""):
        """Compares what arrived, a count by id, with what there is."""
        missing = len(self.wanted - ids.keys())
        unknown = len(ids.keys() - self.wanted)
        twice = sum(ids.values()) - len(ids)
        seen = f"{len(ids.keys() & self.wanted)} of {len(self.wanted)} events, missing {missing}, repeats {twice}, killed after {killed_at}"
        if missing or unknown:
            raise Failed(f"{seen}, unknown {unknown}{more}")
        return seen + more


def on_page(page, *signs):
    """The block of a page that has all of these words: what is tried is what the page shows."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / "docs/pipelines" / page).read_text(), re.M | re.S)
    found = [block for block in blocks if all(sign in block for sign in signs)]
    if len(found) != 1:
        raise Failed(f"{len(found)} blocks of {page} have {' and '.join(signs)}, and not one")
    return found[0]


def put(text, replacements):
    for old, new in replacements.items():
        if old not in text:
            raise Failed(f"the page has no {old}")
        text = text.replace(old, str(new))
    return text


def ids_of(path):
    """How often each event.id stands in a file of JSON lines.

    What is no JSON is no event: a reader that was killed while it wrote may leave half a line.
    """
    counts = collections.Counter()
    with open(path, "rb") as lines:
        for line in lines:
            try:
                counts[json.loads(line)["event"]["id"]] += 1
            except ValueError:
                continue
    return counts


def lines_in(path):
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def has_all(path, wanted):
    return lambda: lines_in(path) >= len(wanted) and wanted <= ids_of(path).keys()


# The cases.


def syslog_ng(case):
    program, environment, root = debian("syslog-ng-core", "syslog-ng")
    version = re.search(r"syslog-ng \d+ \(([\d.]+)\)", run([program, "--version"], env=environment)).group(1)
    case.configure('kind = "stdout"')
    pid = case.folder / "pid"
    script = case.folder / "collect.sh"
    words = " ".join(f"'{word}'" for word in case.command("run", case.config))
    script.write_text(f"#!/bin/sh\necho $$ > '{pid}'\nexec {words} 2>> '{case.folder / 'source-host.log'}'\n")
    script.chmod(0o755)
    events = case.folder / "arrived.ndjson"
    config = case.folder / "syslog-ng.conf"
    replacements = {"/usr/bin/source-host run /etc/source-host/source-host.toml": script, "/var/log/salesforce/events.ndjson": events}
    config.write_text(put(on_page("syslog-ng.md", "program("), replacements))
    modules = root / "usr/lib/syslog-ng" / ".".join(version.split(".")[:2])
    words = ["-F", "--no-caps", "-f", config, "-R", case.folder / "persist", "-c", case.folder / "ctl", "-p", case.folder / "daemon.pid"]
    words += ["--module-path", modules] if environment else []
    with open(case.folder / "syslog-ng.log", "ab") as log:
        daemon = start([program, *words], stdout=log, stderr=log, env=environment)
    killed = {}

    def running():
        killed["pid"] = int(pid.read_text())
        return killed["pid"]

    arrived = case.kill_in_the_midst(daemon, lambda: lines_in(events), running)
    until("syslog-ng starts source-host again", lambda: int(pid.read_text() or 0) not in (0, killed["pid"]), alive=[daemon])
    until("all events arrive", has_all(events, case.wanted), alive=[daemon])
    # It ends its program with SIGTERM, and writes what it holds.
    end(daemon)
    return case.judge(ids_of(events), arrived, f", syslog-ng {version}")


def rsyslog(case):
    program, environment, root = debian("rsyslog", "rsyslogd")
    version = re.search(r"rsyslogd\s+([\d.]+)", run([program, "-v"], env=environment)).group(1)
    collected, events = case.folder / "events.ndjson", case.folder / "arrived.ndjson"
    case.configure(f'kind = "file"\npath = "{collected.name}"')
    (case.folder / "spool").mkdir()
    config = case.folder / "rsyslog.conf"
    replacements = {"/var/lib/source-host/events.ndjson": collected, "/var/log/salesforce/events.ndjson": events}
    replacements["/var/spool/rsyslog"] = case.folder / "spool"
    config.write_text(put(on_page("rsyslog.md", "imfile"), replacements))
    words = ["-n", "-f", config, "-i", case.folder / "daemon.pid"]
    words += ["-M", next(root.glob("usr/lib/*/rsyslog"))] if environment else []
    with open(case.folder / "rsyslog.log", "ab") as log:
        daemon = start([program, *words], stdout=log, stderr=log, env=environment)

        def kill_and_restart():
            # The reader is killed as well, and goes on from where it noted that it was.
            nonlocal daemon
            end(daemon, signal.SIGKILL)
            (case.folder / "daemon.pid").unlink(missing_ok=True)
            daemon = start([program, *words], stdout=log, stderr=log, env=environment)

        arrived = case.killed_and_restarted(lambda: lines_in(events), kill_and_restart)
    until("all events arrive", has_all(events, case.wanted), alive=[daemon])
    end(daemon)
    return case.judge(ids_of(events), arrived, f", rsyslog {version} (imfile), killed as well")


def otlp(case):
    agent = pathlib.Path(sys.prefix).glob("lib/python*/site-packages/rotel/rotel-agent")
    agent = next(agent, None)
    if not agent:
        raise LeftOut("there is no rotel: pip install -r requirements.txt")
    arrived, lock = collections.Counter(), threading.Lock()

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            with lock:
                arrived.update(record_ids(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    words = ["start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"]
    words += ["--exporter", "otlp", "--otlp-exporter-protocol", "http", "--logs-batch-timeout", "200ms"]
    words += ["--otlp-exporter-endpoint", f"http://127.0.0.1:{server.server_port}"]
    with open(case.folder / "rotel.log", "ab") as log:
        daemon = start([agent, *words], stdout=log, stderr=log)
    until("rotel listens", lambda: listens(port), alive=[daemon])
    case.configure(put(on_page("opentelemetry-collector.md", 'kind = "otlp"'), {"[output]\n": "", "127.0.0.1:4318": f"127.0.0.1:{port}"}))
    killed = case.killed_and_restarted(lambda: sum(arrived.values()))
    until("all events arrive", lambda: case.wanted <= arrived.keys(), alive=[daemon])
    end(daemon)
    server.shutdown()
    return case.judge(arrived, killed, f", rotel {installed('rotel')}")


def fields(message):
    """The fields of a protobuf message: number and value."""
    offset = 0

    def number():
        nonlocal offset
        value = shift = 0
        while True:
            byte = message[offset]
            offset += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while offset < len(message):
        key = number()
        kind = key & 7
        if kind == 0:
            yield key >> 3, number()
        else:
            length = {1: 8, 5: 4}.get(kind)
            length = number() if length is None else length
            yield key >> 3, message[offset : offset + length]
            offset += length


def inner(messages, wanted):
    return (value for message in messages for number, value in fields(message) if number == wanted)


def record_ids(request):
    """log.record.uid of every record of an ExportLogsServiceRequest."""
    # resource_logs, scope_logs, log_records; attributes are 6, with key 1 and value 2, whose string is 1.
    for record in inner(inner(inner([request], 1), 2), 2):
        for attribute in inner([record], 6):
            if next(inner([attribute], 1)) == b"log.record.uid":
                yield next(inner(inner([attribute], 2), 1)).decode()


def nats(case):
    program = pathlib.Path(sys.prefix) / "bin/nats-server"
    try:
        import nats as client
        from nats.js.api import ConsumerConfig, DeliverPolicy, DiscardPolicy, StreamConfig
    except ImportError:
        client = None
    if not client or not program.exists():
        raise LeftOut("there is no nats-server or nats-py: pip install -r requirements.txt")
    port, monitor = free_port(), free_port()
    words = ["-js", "-a", "127.0.0.1", "-p", port, "-m", monitor, "-sd", case.folder / "jetstream"]
    with open(case.folder / "nats.log", "ab") as log:
        daemon = start([program, *words], stdout=log, stderr=log)
    until("nats-server is healthy", lambda: answers(f"http://127.0.0.1:{monitor}/healthz"), alive=[daemon])
    version = json.loads(get(f"http://127.0.0.1:{monitor}/varz"))["version"]
    address = f"nats://127.0.0.1:{port}"

    async def make():
        connection = await client.connect(address)
        full = {"discard": DiscardPolicy.NEW, "max_bytes": 100_000_000}
        stream = StreamConfig(name="LOGS", subjects=["logs.>"], duplicate_window=3600, **full)
        await connection.jetstream().add_stream(stream)
        await connection.close()

    async def read():
        ids = collections.Counter()
        connection = await client.connect(address)
        context = connection.jetstream()
        reader = await context.pull_subscribe("logs.>", durable="test", stream="LOGS", config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL))
        waiting = (await context.stream_info("LOGS")).state.messages
        while sum(ids.values()) < waiting:
            for message in await reader.fetch(500, timeout=10):
                ids[json.loads(message.data)["event"]["id"]] += 1
                await message.ack()
        await connection.close()
        return ids

    def messages():
        return json.loads(get(f"http://127.0.0.1:{monitor}/jsz"))["messages"]

    asyncio.run(make())
    case.configure(put(on_page("nats.md", 'kind = "nats"'), {"[output]\n": "", "nats://127.0.0.1:4222": address}))
    killed = case.killed_and_restarted(messages)
    ids = asyncio.run(read())
    end(daemon)
    if sum(ids.values()) != len(ids):
        raise Failed(f"{sum(ids.values()) - len(ids)} events stand twice in the stream, within its duplicate window")
    return case.judge(ids, killed, f", nats-server {version}")


def clickhouse(case):
    try:
        import chdb
    except ImportError:
        raise LeftOut("there is no chdb: pip install -r requirements.txt") from None
    events = case.folder / "events.ndjson"
    case.configure(f'kind = "file"\npath = "{events.name}"')
    killed = case.killed_and_restarted(lambda: lines_in(events))
    count, question = on_page("clickhouse.md", "count()"), on_page("clickhouse.md", "'failure'")

    def ask(query):
        query = put(query, {"/var/lib/source-host/events.ndjson": events}).strip().rstrip(";")
        return [line.split("\t") for line in str(chdb.query(query, "TSV")).splitlines()]

    lines, distinct = map(int, ask(count)[0])
    countries = {country: int(failed) for country, failed in ask(question)}
    # The same question, answered without ClickHouse.
    failed = collections.defaultdict(set)
    for line in open(events):
        event = json.loads(line)
        if event["event"].get("outcome") == "failure":
            country = event.get("source", {}).get("geo", {}).get("country_iso_code", "")
            failed[country].add(event["event"]["id"])
    wanted = {country: len(ids) for country, ids in failed.items()}
    if countries != wanted or not countries:
        raise Failed(f"failed logins by country: {countries}, and not {wanted}")
    ids = ids_of(events)
    if (lines, distinct) != (sum(ids.values()), len(ids)):
        raise Failed(f"{lines} lines and {distinct} ids counted, and not {sum(ids.values())} and {len(ids)}")
    most = ", ".join(f"{country} {count}" for country, count in list(countries.items())[:3])
    return case.judge(ids, killed, f"; failed logins: {most}; chdb {installed('chdb')}")


def prometheus(case):
    program, environment, _ = debian("prometheus", "prometheus", ["prometheus"])
    if "--metrics" not in run([case.options.host, "serve", "--help"]):
        raise Failed("this source-host has no `serve --metrics`: it is older than this test")
    version = re.search(r"version ([\d.]+)", run([program, "--version"], env=environment)).group(1)
    metrics, port = free_port(), free_port()
    config = case.folder / "prometheus.yml"
    replacements = {"127.0.0.1:9464": f"127.0.0.1:{metrics}", "/etc/prometheus/alerts.yml": ROOT / "docs/alerts.yml", "30s": "1s"}
    config.write_text(put(on_page("prometheus.md", "scrape_configs"), replacements))
    words = [f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={case.folder / 'data'}"]
    with open(case.folder / "prometheus.log", "ab") as log:
        daemon = start([program, *words], stdout=log, stderr=log, env=environment)
    api = f"http://127.0.0.1:{port}/api/v1"
    until("Prometheus is ready", lambda: answers(f"http://127.0.0.1:{port}/-/ready"), alive=[daemon])

    def ask(query):
        return json.loads(get(f"{api}/query?{urllib.parse.urlencode({'query': query})}"))["data"]["result"]

    events = case.folder / "events.ndjson"
    case.configure(f'kind = "file"\npath = {json.dumps(str(events))}', "tenants/acme.toml", state=False)
    serve = ("serve", case.folder / "tenants", "--metrics", f"127.0.0.1:{metrics}")
    host = case.host(*serve)
    killed = case.kill_in_the_midst(host, lambda: lines_in(events))
    until("Prometheus notes that the host is down", lambda: any(sample["value"][1] == "0" for sample in ask("up")), alive=[daemon])
    host = case.host(*serve)
    until("all events arrive", has_all(events, case.wanted), alive=[host, daemon])

    def counted():
        # A host counts from 0 after its start: what it says now is what came since.
        values = ask('source_host_events_total{tenant="acme"}')
        return values and float(values[0]["value"][1]) >= len(case.wanted) - killed

    until("Prometheus shows the events", counted, alive=[host, daemon])

    def evaluated():
        groups = json.loads(get(f"{api}/rules"))["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        broken = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule.get("lastError")]
        if broken:
            raise Failed(f"rules fail: {'; '.join(broken)}")
        return rules if rules and all(rule["health"] == "ok" for rule in rules) else None

    rules = until("all rules are evaluated", evaluated, alive=[host, daemon])
    firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    end(host)
    end(daemon)
    more = f", {len(rules)} rules without error, firing: {', '.join(firing) or 'none'}; Prometheus {version}"
    return case.judge(ids_of(events), killed, more)


def installed(package):
    import importlib.metadata

    return importlib.metadata.version(package)


CASES = {
    "syslog-ng": (syslog_ng, FILES),
    "rsyslog": (rsyslog, FILES),
    "opentelemetry": (otlp, FILES),
    "nats": (nats, FILES),
    "clickhouse": (clickhouse, OBJECTS),
    "prometheus": (prometheus, FILES),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--host", type=pathlib.Path, default=ROOT / "target/release/source-host")
    arguments.add_argument("--simulator", type=pathlib.Path, default=ROOT / "target/release/salesforce-sim")
    arguments.add_argument("--component", type=pathlib.Path, default=ROOT / "dist/salesforce-source.wasm")
    arguments.add_argument("--keep", action="store_true", help="keep the folder with logs, and say where it is")
    arguments.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all if left out")
    options = arguments.parse_args()
    for name in options.cases:
        if name not in CASES:
            arguments.error(f"there is no case '{name}'")
    for path in (options.host, options.simulator, options.component):
        if not path.is_file():
            arguments.error(f"{path} is not there: run `make build`")
    options.host, options.component = options.host.resolve(), options.component.resolve()

    atexit.register(end_all)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"FAIL      not done within {LONGEST} s"))
    signal.alarm(LONGEST)
    options.work = pathlib.Path(tempfile.mkdtemp(prefix="pipelines-"))
    failures = 0
    try:
        org = Org(options.simulator.resolve(), options.work)
        for name, (case, streams) in CASES.items():
            if options.cases and name not in options.cases:
                continue
            began, kept = time.monotonic(), STARTED[:]
            try:
                word, seen = "pass", case(Case(name, options, org, streams))
            except LeftOut as reason:
                word, seen = "left out", str(reason)
            except Exception as error:
                word, seen = "FAIL", str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
                failures += 1
            finally:
                for process in [process for process in STARTED if process not in kept]:
                    end(process)
            print(f"{word:<8}  {name:<13}  {seen}, {time.monotonic() - began:.1f} s", flush=True)
    finally:
        end_all()
        if options.keep or failures:
            print(f"Logs and configurations are in {options.work}")
        else:
            shutil.rmtree(options.work, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
