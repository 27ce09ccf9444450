// The gate before HTTP: who may be asked, and that a request goes to whom it names.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { parseRules } from '../src/authority.js';
import { ConfigurationError } from '../src/errors.js';
import { Gate } from '../src/gate.js';
import { imports03 } from '../src/wasi-0.3.js';

// What all gates are tried with.
const cases = JSON.parse(readFileSync(new URL('../../../tests/cases/egress.json', import.meta.url), 'utf8'));

/** @param {string[] | undefined} allow @param {string[]} granted */
function gate(allow, granted) {
  const made = new Gate(allow);
  made.grant(granted);
  return made;
}

/** A server on loopback that counts. */
async function server(t) {
  const seen = [];
  const made = createServer((request, response) => {
    seen.push(request.url);
    response.end('answer');
  });
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  t.after(() => {
    made.closeAllConnections();
    made.close();
  });
  return { seen, port: made.address().port };
}

/** What becomes of a request by the shim that a component for WASI 0.3 gets; it needs no Node 24. */
async function sent(made, authority, path) {
  const imports = await imports03(made, () => 0);
  const { Fields, Request } = imports['wasi:http/types'];
  const [request] = Request.new(new Fields(), undefined, Promise.resolve({ tag: 'ok', val: undefined }), undefined);
  request.setScheme({ tag: 'HTTP' });
  request.setAuthority(authority);
  request.setPathWithQuery(path);
  return imports['wasi:http/client'].send(request).then(() => 'answered', (error) => error.payload?.tag ?? String(error));
}

test('no path leads a request of WASI 0.3 to another host than its authority', async (t) => {
  const { seen, port } = await server(t);
  const made = gate(undefined, ['localhost', '127.0.0.1', `127.0.0.1:${port}`, 'localhost:1']);
  for (const [authority, path] of [
    ['localhost', `@127.0.0.1:${port}/x`],
    ['localhost:1', `@127.0.0.1:${port}/x`],
    ['127.0.0.1', `:${port}/x`],
    ['localhost', `:${port}/x`],
    ['localhost', '.evil.example/x'],
    ['localhost', '@evil.example/x'],
    ['localhost', `:@127.0.0.1:${port}`],
    ['localhost', `\\@127.0.0.1:${port}/x`],
    ['localhost', `?@127.0.0.1:${port}/x`],
    ['localhost', `#@127.0.0.1:${port}/x`],
    ['localhost', 'x'],
  ]) {
    assert.equal(await sent(made, authority, path), 'HTTP-request-denied', authority + path);
  }
  assert.deepEqual(seen, []);
  for (const path of ['/x?y=z', '/@evil.example/', '//evil.example/x', '/\\evil.example/', '/.evil.example:8443']) {
    assert.equal(await sent(made, `127.0.0.1:${port}`, path), 'answered', path);
  }
  assert.equal(seen.length, 5);
});

test('what comes behind the slash of a path changes no host', () => {
  const made = gate(undefined, ['a.example.com', 'a.example.com:8443', '[2001:db8::1]']);
  for (const authority of ['a.example.com', 'A.Example.COM', 'a.example.com.', 'a.example.com:443', 'a.example.com:8443', '[2001:DB8::1]']) {
    for (const path of [undefined, '/', '/x?y#z', '//evil.net/', '/\\evil.net', '/\t/evil.net', '/\n@evil.net', '/@evil.net:1/']) {
      assert.ok(made.admits('HTTPS', authority, path), `${authority} ${path}`);
    }
  }
  for (const path of ['@evil.net/', '.evil.net/', ':8443/', '\t/', '\n@evil.net', '\\evil.net', '?x', '#x', 'x', ' /', '']) {
    assert.ok(!made.admits('HTTPS', 'a.example.com', path), path);
  }
});

test('what only looks like a host that is granted is denied', () => {
  const made = gate(undefined, ['a.example.com', '127.0.0.1']);
  for (const authority of [undefined, 'a.example.com:', ...cases.look_alikes, ...cases.disguised]) {
    assert.ok(!made.admits('HTTPS', authority), authority);
  }
});

test('some addresses are denied even where they are listed, in whatever an address of IPv4 is wrapped', () => {
  const never = [...cases.never_allowed, '169.254.169.254:80'];
  const made = gate(never, never);
  for (const address of never) assert.ok(!made.admits('HTTPS', address), address);
  const listed = [...cases.allowed_where_listed, '127.0.0.1:1', '[::1]:80'];
  for (const address of listed) assert.ok(gate(listed, listed).admits('HTTPS', address), address);
});

test('plain http is for loopback alone', () => {
  const granted = ['a.example.com:80', '127.0.0.1:8080', 'localhost:8080', '[::1]:8080', 'localhost'];
  const made = gate(granted, granted);
  for (const authority of granted.slice(1)) assert.ok(made.admits('HTTP', authority), authority);
  const open = ['a.example.com:80', 'localhost.example.com', '127.0.0.1.example.com', '10.1.2.3', 'a@localhost'];
  for (const authority of open) assert.ok(!gate(undefined, open).admits('HTTP', authority), authority);
  assert.ok(!made.admits('other', 'localhost'));
});

test('rules cover whole labels, and the usual port where they say none', () => {
  const made = gate(['*.example.com', 'logs.example.net', '*.example.org:8443'], [
    'a.example.com', 'a.example.com:8443', 'example.com', 'evilexample.com', 'logs.example.net:443', 'x.logs.example.net', 'a.example.org:8443',
  ]);
  for (const authority of ['a.example.com', 'a.example.com:443', 'logs.example.net', 'a.example.org:8443']) assert.ok(made.admits('HTTPS', authority), authority);
  for (const authority of ['a.example.com:8443', 'example.com', 'evilexample.com', 'x.logs.example.net', 'a.example.org', 'b.example.com']) {
    assert.ok(!made.admits('HTTPS', authority), authority);
  }
});

test('what is no rule is refused with its place', () => {
  for (const [rule, words] of [
    ['https://a.example.com', /`https:\/\/a.example.com` is no host to allow: write the host alone, without scheme/],
    ['a@b.example.com', /write the host alone/],
    ['*.com', /a suffix needs two labels/],
    ['*.1.2.3.4', /a suffix needs two labels/],
    ['a.example.com:0', /is expected/],
    ...[...cases.no_rules, ...cases.disguised].map((rule) => [rule, /is no host to allow: /]),
  ]) {
    const isIt = (error) => error instanceof ConfigurationError && error.path === 'allow[1]' && words.test(error.message);
    assert.throws(() => parseRules(['a.example.com', rule]), isIt, rule);
  }
});
