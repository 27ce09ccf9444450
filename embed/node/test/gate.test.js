// The gate before HTTP: who may be asked, and that a request goes to whom it names.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { parseRules } from '../src/authority.js';
import { ConfigurationError } from '../src/errors.js';
import { Gate } from '../src/gate.js';
import { imports03 } from '../src/wasi-0.3.js';

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
  for (const authority of [
    undefined, '', 'evilexample.com', 'a.example.com.evil.net', 'a.example.com@evil.net', 'x:y@a.example.com', 'evil.net/a.example.com',
    'evil.net\\a.example.com', 'evil.net?a.example.com', 'evil.net#a.example.com', 'a.example.com:443:80', 'a.example.com:8443',
    'a.example.com:99999', 'a.example.com:', 'a.example.com:0', 'a.example.com\n', 'a.example.com ', '\ta.example.com', 'a..example.com', 'a.example.com..',
    'a.example.com:443@evil.net', 'a.example.com/x', 'a b', ':443', 'ä.example.com', 'ａ.example.com', '%61.example.com', '[a.example.com]', '0x7f.1', '127.1', '2130706433', '0177.0.0.1', '0x7f000001:443',
  ]) {
    assert.ok(!made.admits('HTTPS', authority), authority);
  }
});

test('some addresses are denied even where they are listed, in whatever an address of IPv4 is wrapped', () => {
  const never = [
    '169.254.169.254', '169.254.169.254:80', '169.254.169.254.', '169.254.170.2', '0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255', '100.100.100.200', '168.63.129.16', '[::]', '[ff02::1]', '[fe80::1]', '[fd00:ec2::254]', '[fd20:ce::254]', '[fd00:c1::a9fe:a9fe]',
    '[::ffff:a9fe:a9fe]', '[::ffff:169.254.169.254]',
    '[64:ff9b::a9fe:a9fe]', '[64:ff9b::169.254.169.254]', '[64:ff9b::6464:64c8]', '[64:ff9b:1::a9fe:a9fe]', '[64:ff9b:1:a9fe:a9:fe00::]',
    '[2002:a9fe:a9fe::1]', '[2002:a83f:8110::1]', '[::a9fe:a9fe]', '[::169.254.169.254]', '[::6464:64c8]',
  ];
  const made = gate(never, never);
  for (const address of never) assert.ok(!made.admits('HTTPS', address), address);
  const listed = ['a_b.example.com', '93.184.216.34', '10.1.2.3', '127.0.0.1:1', '[::1]:80', '[2606:2800:220:1::1]', '[64:ff9b::5db8:d822]', '[2002:5db8:d822::1]', '[64:ff9b:2::1]'];
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
    ['*', /is expected/],
    ['', /is expected/],
    ['127.1', /is expected/],
  ]) {
    const isIt = (error) => error instanceof ConfigurationError && error.path === 'allow[1]' && words.test(error.message);
    assert.throws(() => parseRules(['a.example.com', rule]), isIt, rule);
  }
});
