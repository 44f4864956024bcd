// browser.mjs CHROMIUM PAGE-FOLDER bantam.wasm MODEL TOKENS: opens the page in a headless Chromium, loads the model from an address
// and then from a file, and expects the same greedy tokens as the native engine's. The folder is served on loopback; whatever
// else the page asks for fails the test.
import assert from 'node:assert';
import {readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {chromium} from 'playwright-core';

const [executablePath, folder, wasm, model, expected] = process.argv.slice(2);
const types = {html: 'text/html', js: 'text/javascript', wasm: 'application/wasm', gguf: 'application/octet-stream'};
const files = {'bantam.wasm': wasm, 'model.gguf': model};
for (const name of ['index.html', 'page.js', 'worker.js', 'bantam.js']) files[name] = join(folder, name);
const server = createServer((request, response) => {
  const name = new URL(request.url, 'http://localhost').pathname.slice(1);
  if (!(name in files)) return response.writeHead(404).end();
  response.writeHead(200, {'content-type': types[name.split('.').pop()]}).end(readFileSync(files[name]));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update']});
try {
  const page = await browser.newPage();
  const elsewhere = [];
  page.on('request', (request) => { if (!request.url().startsWith(address)) elsewhere.push(request.url()); });
  page.on('pageerror', (error) => elsewhere.push(String(error)));
  const request = {tokens: [3, 200, 17, 17, 90, 4, 250, 33, 34, 35, 36], ignore_end: true};
  await page.goto(`${address}/index.html#${encodeURIComponent(JSON.stringify(request))}`);
  const generate = async (where) => {
    await page.waitForFunction(() => /Ready\./.test(document.getElementById('status').textContent), null, {timeout: 60000});
    await page.fill('#count', '100');
    await page.click('#run');
    await page.waitForFunction(() => document.getElementById('text').dataset.tokens !== undefined, null, {timeout: 120000});
    assert.equal(await page.getAttribute('#text', 'data-tokens'), expected, where);
    console.log(`browser: ${where}: 100 greedy tokens equal; ${await page.textContent('#status')}`);
  };
  await page.fill('#url', `${address}/model.gguf`);
  await page.click('#fetch');
  await generate('from an address');
  await page.setInputFiles('#file', model);
  await generate('from a file');

  await page.setInputFiles('#file', wasm);  // no model
  await page.waitForFunction(() => document.getElementById('status').hasAttribute('data-error'), null, {timeout: 60000});
  assert.match(await page.textContent('#status'), /model\.gguf/);
  assert.deepEqual(elsewhere, []);
} finally {
  await browser.close();
  server.close();
}
