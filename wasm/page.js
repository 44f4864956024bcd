// The page: one worker with the engine; a new one after Stop, with the same model.
const at = (id) => document.getElementById(id);
let worker = null, model = null, ready = false;

function say(text, isError = false) {
  at('status').textContent = text;
  at('status').toggleAttribute('data-error', isError);
}

function idle(loaded) {
  at('run').disabled = !loaded;
  at('stop').disabled = true;
}

const onMessage = {
  loaded: (about) => {
    say(`${about.architecture}, ${about.layers} layers, vocabulary ${about.vocabulary}, ` +
      `${Math.round(about.memory / 1048576)} MiB. Ready.`);
    ready = true;
    idle(true);
  },
  text: (piece) => { at('text').textContent += piece; },
  done: (done) => {
    const rate = done.tokens.length / Math.max(done.decode_seconds, 1e-9);
    say(`${done.tokens.length} tokens, ${rate.toFixed(1)} a second (${done.finish}).`);
    at('text').dataset.tokens = done.tokens.join(' ');
    idle(true);
  },
  error: (message) => {
    say(message, true);
    idle(ready);
  },
};

function start() {
  worker?.terminate();
  worker = new Worker(new URL('worker.js', import.meta.url), {type: 'module'});
  worker.onmessage = ({data}) => Object.entries(data).forEach(([kind, value]) => onMessage[kind]?.(value));
  worker.onerror = (event) => onMessage.error(event.message ?? 'the worker failed');
}

function load(blob) {
  model = blob;
  ready = false;
  say('Loading …');
  idle(false);
  start();
  worker.postMessage({load: blob});
}

at('file').onchange = ({target}) => { if (target.files.length > 0) load(target.files[0]); };

at('fetch').onclick = async () => {
  say('Fetching …');
  try {
    const response = await fetch(at('url').value);
    if (!response.ok) throw new Error(`found status ${response.status}`);
    load(await response.blob());
  } catch (error) {
    say(`${at('url').value}: ${error.message}`, true);
  }
};

at('run').onclick = () => {
  at('text').textContent = '';
  delete at('text').dataset.tokens;
  at('run').disabled = true;
  at('stop').disabled = false;
  say('Generating …');
  // What else the request is to hold may stand in the address: index.html#{"temperature":0.8}
  const request = JSON.parse(decodeURIComponent(location.hash.slice(1)) || '{}');
  worker.postMessage({generate: {prompt: at('prompt').value, max_tokens: at('count').valueAsNumber, ...request}});
};

at('stop').onclick = () => load(model);
