// The dashboard Login over a million documents in Chromium: each panel is drawn, what it says is the truth, and how long somebody waits for it.
//
//   node million.mjs CHROMIUM ADDRESS TRUTH      where TRUTH is JSON: [{ search, total, failed, users }]

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [executablePath, address, truth] = process.argv.slice(2);
const number = (value) => value.toLocaleString('en-US');

const drawn = (page) => page.waitForFunction(() => document.querySelectorAll('.panel').length > 0
  && !document.querySelector('.panel[aria-busy]') && /events of/.test(document.querySelector('#status').textContent));

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  const problems = [];
  page.on('pageerror', (error) => problems.push(`${error}`));
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
  for (const { search, ...expected } of JSON.parse(truth)) {
    const begun = performance.now();
    if (page.url() === 'about:blank') await page.goto(new URL('?dashboard=login', address).href);
    else {
      await page.locator('#query').fill(search);
      await page.keyboard.press('Enter');
    }
    await drawn(page);
    const seconds = (performance.now() - begun) / 1000;
    for (const [panel, value] of Object.entries(expected)) {
      const words = (await page.locator(`#panel-${panel}`).innerText()).split(/\s+/);
      assert.ok(words.includes(number(value)), `${search || 'everything'}: ${panel} says ${words.join(' ')}, and it is ${number(value)}`);
    }
    const panels = await page.locator('.panel').count();
    const heap = await page.evaluate(() => performance.memory.usedJSHeapSize / 2 ** 20);
    console.log(`in Chromium    ${seconds.toFixed(2).padStart(6)} s until all ${panels} panels of ${search || 'everything'} are drawn, and right; ${heap.toFixed(0)} MiB of the page's heap`);
  }
  assert.deepEqual(problems, []);
} finally {
  await browser.close();
}
