// module.mjs bantam.js bantam.wasm MODEL: the ids of greedy_tokens' 100 tokens, by the module under Node. Checks its errors on the way.
import assert from 'node:assert';
import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const [wrapper, wasm, model] = process.argv.slice(2);
const {Engine, bytesSource} = await import(pathToFileURL(wrapper));
const engine = await Engine.create(readFileSync(wasm));
assert.throws(() => engine.generate({prompt: 'a'}), /no model is loaded/);
assert.throws(() => engine.load(bytesSource(new Uint8Array(100))), /model\.gguf/);
const about = engine.load(bytesSource(readFileSync(model)));
assert.equal(about.layers, 2);
for (const wrong of [about.vocabulary, -1, 2 ** 40, 'a']) assert.throws(() => engine.generate({tokens: [wrong]}), /tokens: found/);
assert.throws(() => engine.generate({prompt: 'a', temperature: 'hot'}), /temperature: found "hot", expected a number/);
assert.throws(() => engine.generate({}), /found neither messages nor tokens nor prompt/);
assert.throws(() => engine.generate({prompt: 'a', max_tokens: 3}, () => { throw new Error('from the page'); }), /from the page/);

let text = '';
const request = {tokens: [3, 200, 17, 17, 90, 4, 250, 33, 34, 35, 36], max_tokens: 100, ignore_end: true};
const found = engine.generate(request, (piece) => { text += piece; return true; });
assert.equal(found.finish, 'length');
assert.deepEqual(engine.generate(request).tokens, found.tokens);
let pieces = 0;
assert.equal(engine.generate(request, () => ++pieces < 3).finish, 'cancelled');
console.log(found.tokens.join(' '));
