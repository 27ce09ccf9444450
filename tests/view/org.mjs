// What the org itself says happened: its list of ids, and its files and records, asked of it without the collector.

import assert from 'node:assert/strict';
import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const VERSION = 'v65.0';
const OBJECTS = ['LogoutEvent', 'SetupAuditTrail', 'AuraRequestEventLog'];
const DAY = 86400000;
/** Object reference, LoginHistory, LoginType; those that the simulated org has. */
const LOGIN_TYPES = { 6: 'Remote Access Client', 8: 'SAML Sfdc Initiated SSO', A: 'Application', I: 'Other Apex API', i: 'Remote Access 2.0' };

async function answer(url, options) {
  const response = await fetch(url, options);
  assert.ok(response.ok, `${url}: ${response.status} ${response.ok ? '' : await response.text()}`);
  return response;
}

async function signIn(org, key) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: org.client_id, sub: org.username, aud: org.audience, exp: Math.floor(Date.now() / 1000) + 120 };
  const unsigned = `${part({ alg: 'RS256' })}.${part(claims)}`;
  const signature = createSign('RSA-SHA256').update(unsigned).sign(readFileSync(key)).toString('base64url');
  const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: `${unsigned}.${signature}` });
  const { access_token: token } = await (await answer(`${org.url}/services/oauth2/token`, { method: 'POST', body })).json();
  return { authorization: `Bearer ${token}` };
}

/** Rows of CSV, by the names of its columns. */
function rowsOf(text) {
  const lines = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/gy;
  for (let found = cell.exec(text); found && cell.lastIndex <= text.length; found = cell.exec(text)) {
    lines.at(-1).push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
    if (cell.lastIndex === text.length) break;
    if (found[3] !== ',') lines.push([]);
  }
  if (lines.at(-1).length === 0) lines.pop();
  const [names, ...rows] = lines;
  for (const row of rows) assert.equal(row.length, names.length, `a row of ${names.length} columns: ${row.join().slice(0, 200)}`);
  return rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index]])));
}

/**
 * All of it: `ids` that a complete collection delivers; `files`, by their ids their rows; `rows` of files by event type, those that
 * late files repeat once; `objects`, by their names how many records they have; and the records `setup` and `aura`.
 */
export async function said(org, key) {
  const headers = await signIn(org, key);
  const lines = async (query) => (await (await answer(`${org.control_url}/truth?${query}`)).text()).split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const records = async (query) => {
    const found = [];
    for (let path = `/services/data/${VERSION}/query?q=${encodeURIComponent(query)}`; path;) {
      const page = await (await answer(`${org.url}${path}`, { headers })).json();
      found.push(...page.records);
      path = page.nextRecordsUrl;
    }
    return found;
  };
  const events = await lines('interval=hourly');
  const ids = new Set(events.map((event) => event.event_id));
  const files = new Map();
  const rows = {};
  const seen = new Set();
  for (const { Id: id, EventType: type } of await records("SELECT Id, EventType FROM EventLogFile WHERE Interval = 'Hourly'")) {
    const text = await (await answer(`${org.url}/services/data/${VERSION}/sobjects/EventLogFile/${id}/LogFile`, { headers })).text();
    const content = rowsOf(text);
    const own = events.filter((event) => event.file === id);
    assert.equal(content.length, own.length, `rows of ${id}`);
    files.set(id, own.length);
    for (const { event_id: event, row } of own) {
      if (seen.has(event)) continue;
      seen.add(event);
      (rows[type] ??= []).push(content[row]);
    }
  }
  const objects = {};
  for (const object of OBJECTS) {
    const own = await lines(`object=${object}`);
    objects[object] = own.length;
    for (const { event_id: id } of own) ids.add(id);
  }
  const setup = await records('SELECT Action, Section, CreatedById, DelegateUser FROM SetupAuditTrail');
  const begin = new Date(Date.now() - 5 * DAY).toISOString();
  const aura = await records(`SELECT UserType, UserIdentifier, RunTime FROM AuraRequestEventLog WHERE Timestamp >= ${begin}`);
  assert.deepEqual([setup.length, aura.length], [objects.SetupAuditTrail, objects.AuraRequestEventLog]);
  return { ids, files, rows, objects, setup, aura };
}

const APEX = ['ApexCallout', 'ApexExecution', 'ApexRestApi', 'ApexSoap', 'ApexTrigger', 'ExternalCustomApexCallout'];

function by(list, key) {
  const groups = new Map();
  for (const one of list) if (key(one)) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return [...groups];
}
const counts = (list, key) => by(list, key).map(([name, own]) => [name, own.length]);
const rank = (numbers, percent) => numbers.toSorted((a, b) => a - b)[Math.max(1, Math.ceil((percent / 100) * numbers.length)) - 1];
const unique = (values) => [[new Set(values.filter(Boolean)).size]];
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** What panels must say, by dashboard and id: their rows in any order. */
export function facts({ ids, files, rows, objects, setup, aura }) {
  const failed = rows.Login.filter((row) => row.LOGIN_STATUS !== 'LOGIN_NO_ERROR');
  const { ApexExecution: executions, ApexTrigger: triggers, AuraRequest: requests } = rows;
  const runTime = (list, percent) => rank(list.map((row) => Number(row.RUN_TIME)), percent);
  return {
    login: {
      total: [[rows.Login.length]],
      failed: [[failed.length]],
      'success-rate': [[1 - failed.length / rows.Login.length]],
      statuses: counts(failed, (row) => row.LOGIN_STATUS),
      types: counts(rows.Login, (row) => LOGIN_TYPES[row.LOGIN_TYPE] ?? row.LOGIN_TYPE),
      tls: counts(rows.Login, (row) => row.TLS_PROTOCOL?.replace(/^TLSv?/, '')),
    },
    logout: {
      total: [[rows.Logout.length + objects.LogoutEvent]],
      initiated: [[rows.Logout.filter((row) => row.USER_INITIATED_LOGOUT === '1').length / rows.Logout.length]],
    },
    apex: {
      total: [[sum(APEX.map((type) => rows[type].length))]],
      'entry-points': by(executions, (row) => row.ENTRY_POINT).map(([name, own]) => [
        name, runTime(own, 95), runTime(own, 50), runTime(own, 99), runTime(own, 100), sum(own.map((row) => Number(row.RUN_TIME))) / own.length, own.length,
        sum(own.map((row) => Number(row.NUMBER_SOQL_QUERIES))),
      ]),
      'most-asked': by(executions, (row) => row.ENTRY_POINT).map(([name, own]) => [name, own.length]),
      soql: by(executions, (row) => row.ENTRY_POINT).map(([name, own]) => [name, sum(own.map((row) => Number(row.NUMBER_SOQL_QUERIES)))]),
      'trigger-counts': by(triggers, (row) => row.TRIGGER_TYPE).map(([name, own]) => [name, new Set(own.map((row) => row.TRIGGER_NAME)).size, own.length]),
      entities: by(triggers, (row) => row.ENTITY_NAME).map(([name, own]) => [name, new Set(own.map((row) => row.TRIGGER_NAME)).size]),
    },
    setupaudittrail: {
      total: [[setup.length]],
      people: unique(setup.map((record) => record.CreatedById)),
      delegated: [[setup.filter((record) => record.DelegateUser).length]],
      sections: counts(setup, (record) => record.Section).sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1)).slice(0, 10),
    },
    aurarequest: {
      total: [[requests.length + aura.length]],
      guests: [[requests.filter((row) => row.USER_TYPE === 'Guest').length + aura.filter((record) => record.UserType === 'Guest').length]],
      users: unique([...requests.map((row) => row.USER_ID_DERIVED), ...aura.map((record) => record.UserIdentifier)]),
      licenses: counts([...requests.map((row) => row.USER_TYPE), ...aura.map((record) => record.UserType)], (type) => type),
    },
    overview: {
      events: [[ids.size]],
      users: unique([
        ...Object.entries(rows).filter(([type]) => !APEX.includes(type)).flatMap(([, own]) => own.map((row) => row.USER_ID_DERIVED)),
        ...setup.map((record) => record.CreatedById),
        ...aura.map((record) => record.UserIdentifier),
      ]),
    },
    completeness: { files: [...files] },
  };
}
