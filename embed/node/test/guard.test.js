// Where names lead, in a process of its own: names are what a stub here says.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { createServer, get } from 'node:http';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** @type {Record<string, string[]>} */
const names = { localhost: ['127.0.0.1'] };
dns.lookup = (name, options, done) => {
  done(null, names[name].map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
};
await import('../src/guard.js');

test('a name that leads inside later on is not connected to then', async (t) => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.end();
  });
  server.listen(0);
  await once(server, 'listening');
  t.after(() => server.close());
  const outcome = (host) =>
    new Promise((resolve) => {
      get({ host, port: server.address().port, agent: false }, () => resolve('answered')).on('error', (error) => resolve(error.tag ?? error.code));
    });
  assert.equal(await outcome('localhost'), 'answered');
  for (const inner of ['127.0.0.1', '::1', '169.254.169.254', '10.0.0.1', 'fd00:ec2::254']) {
    names['logs.example.com'] = [inner];
    assert.equal(await outcome('logs.example.com'), 'destination-IP-prohibited', inner);
  }
  assert.equal(requests, 1);
});

test('of several addresses those inside are left out', async () => {
  names['logs.example.com'] = ['169.254.169.254', '93.184.216.34', '::1'];
  const look = promisify(dns.lookup);
  assert.deepEqual(await look('logs.example.com', { all: true }), [{ address: '93.184.216.34', family: 4 }]);
  assert.equal(await look('logs.example.com', {}), '93.184.216.34');
});
