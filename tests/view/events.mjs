// A day of events from the simulated org, collected by source-host with receipts, in a folder; and what the org itself says of the day.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join, resolve } from 'node:path';
import { said } from './org.mjs';

const TYPES = 'Login,Logout,ApexCallout,ApexExecution,ApexRestApi,ApexSoap,ApexTrigger,ExternalCustomApexCallout,AuraRequest';

export async function collect(programs, component, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const key = join(folder, 'key.pem');
  // So long ago that late files are there as well, and have settled.
  const ended = new Date(Date.now() - 24 * 3600000).toISOString();
  const org = spawn(join(programs, 'salesforce-sim'), ['--rows', '12000', '--event-types', TYPES, '--late-one-in', '6', '--end', ended, '--key-file', key], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = await once(createInterface({ input: org.stdout }), 'line');
    const told = JSON.parse(line);
    const { url: address, client_id: client, username: user } = told;
    const events = join(folder, 'events.ndjson');
    const config = join(folder, 'source-host.toml');
    writeFileSync(config, `component = ${JSON.stringify(resolve(component))}
[source]
instance_url = "${address}"
receipts = true
[source.auth]
flow = "jwt-bearer"
client_id = "${client}"
username = "${user}"
private_key = { file = "key.pem" }
[source.streams.login]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
[source.streams.logout]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
object = { interval = "5m" }
[source.streams.apex]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
[source.streams.setupaudittrail]
object = { interval = "1h" }
[source.streams.aura_request]
event_log_file = { event_types = ["AuraRequest"], interval = "1h", log_file_interval = "hourly" }
object = { name = "AuraRequestEventLog", interval = "15m" }
[admission]
compile_time = "10m"
[state]
path = "state.json"
[output]
kind = "file"
path = "events.ndjson"
[egress]
allow = ["${new URL(address).host}"]
`);
    const host = spawn(join(programs, 'source-host'), ['run', config, '--until-caught-up', '-q'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const [code] = await once(host, 'exit');
    if (code !== 0 || !existsSync(events)) throw new Error(`source-host ended with ${code}`);
    return { events, org: await said(told, key) };
  } finally {
    org.kill();
  }
}

/** Documents of a file. */
export function documents(path) {
  return readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** One more document, made of another: the attack that a page must withstand. */
export function attack(path, like) {
  const document = structuredClone(like);
  document.event.id = 'attack';
  document.user.email = '=HYPERLINK("http://example.invalid")';
  document.user_agent = { original: ATTACK };
  document.labels = { nothing: null, empty: '', several: ['r1', 'r, "2"', 'r1'] };
  appendFileSync(path, `${JSON.stringify(document)}\n`);
}

/** Documents with what no hourly file of logins has, made of another: places, values that do not fit, what only the object LoginEvent tells, a daily file. */
export function placed(path, like) {
  PLACES.forEach(([country, lat, lon], index) => {
    const document = structuredClone(like);
    document.event.id = `placed-${index}`;
    document.user.email = 'placed@example.com';
    document.source.geo = { country_iso_code: country, postal_code: `${10115 + index}`, location: { lat, lon } };
    document.user_agent = { name: 'Chrome', original: 'placed' };
    document.salesforce.login.application = 'Browser';
    document.error = { message: 'This value does not fit.' };
    delete document.salesforce.event_log_file;
    appendFileSync(path, `${JSON.stringify(document)}\n`);
  });
  const document = structuredClone(like);
  Object.assign(document.event, { id: 'placed-daily', action: 'placed' });
  const day = Math.floor(Date.parse(document['@timestamp']) / 86400000) * 86400000;
  const [begin, made] = [day, day + 27 * 3600000].map((time) => new Date(time).toISOString());
  Object.assign(document.salesforce.event_log_file, { id: 'daily', interval: 'Daily', log_date: begin, created_date: made });
  appendFileSync(path, `${JSON.stringify(document)}\n`);
}

// In the Atlantic Ocean, so that a click on it is on no country; and of countries that the outline lacks.
export const OCEAN = [-15, -22];
const PLACES = [['SG', ...OCEAN], ['SG', ...OCEAN], ['BH', ...OCEAN], ['DE', 52.5, 13.25]];

export const ATTACK = '<script>window.attacked = true</script><img src=x onerror="window.attacked = true">';
