// browser.mjs CHROMIUM PAGE-FOLDER MODEL TOKENS OTHER-MODEL: opens the page in a headless Chromium, loads the model from an address
// and then from a file, and expects the same greedy tokens as the native engine's; then errors, and a real model whose answer is
// stopped half-way. The folder is served on loopback; whatever else the page asks for fails the test.
import assert from 'node:assert';
import {readdirSync, readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {chromium} from 'playwright-core';

const [executablePath, folder, model, expected, other] = process.argv.slice(2);
const types = {html: 'text/html', js: 'text/javascript', wasm: 'application/wasm', gguf: 'application/octet-stream'};
const files = {'model.gguf': model};
for (const name of readdirSync(folder)) files[name] = join(folder, name);
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
  const isReady = () => page.waitForFunction(() => /Ready\./.test(document.getElementById('status').textContent), null, {timeout: 60000});
  const failed = () => page.waitForFunction(() => document.getElementById('status').hasAttribute('data-error'), null, {timeout: 60000});
  const generate = async (where) => {
    await isReady();
    await page.fill('#count', '100');
    await page.click('#run');
    await page.waitForFunction(() => document.querySelector('#log .assistant')?.dataset.tokens !== undefined, null, {timeout: 120000});
    assert.equal(await page.getAttribute('#log .assistant', 'data-tokens'), expected, where);
    console.log(`browser: ${where}: 100 greedy tokens equal; ${await page.textContent('#status')}`);
  };
  await page.fill('#url', `${address}/model.gguf`);
  await page.click('#fetch');
  await generate('from an address');
  await page.setInputFiles('#file', model);
  await generate('from a file');

  await page.fill('#url', `${address}/nothing.gguf`);
  await page.click('#fetch');
  await failed();
  assert.match(await page.textContent('#status'), /status 404/);
  await page.setInputFiles('#file', files['bantam.wasm']);  // no model
  await failed();
  assert.match(await page.textContent('#status'), /model\.gguf/);

  // Without the wishes in the address: what a person does.
  await page.goto(`${address}/index.html`);
  await page.setInputFiles('#file', other);
  await isReady();
  await page.fill('#prompt', 'The weather in the north is');
  await page.fill('#count', '8000');
  await page.press('#prompt', 'Enter');
  await page.waitForFunction(() => document.querySelector('#log .assistant')?.textContent.length > 40, null, {timeout: 60000});
  await page.click('#stop');
  await isReady();
  const kept = await page.textContent('#log .assistant');
  assert.ok(kept.length > 40);
  await page.fill('#count', '0');  // the engine refuses it, and the turn is there to be sent again
  await page.fill('#prompt', 'again');
  await page.click('#run');
  await page.waitForFunction(() => !document.getElementById('run').disabled, null, {timeout: 60000});
  await page.fill('#count', '12');
  await page.fill('#prompt', 'again');
  await page.click('#run');
  await page.waitForFunction(() => /12 tokens/.test(document.getElementById('status').textContent), null, {timeout: 60000});
  console.log(`browser: ${other.split('/').pop()}: stopped after "${kept.slice(0, 60)}"; ${await page.textContent('#status')}`);
  assert.deepEqual(elsewhere, []);
} finally {
  await browser.close();
  server.close();
}
