// The page: one worker with the engine; a new one after Stop, with the same model. With a chat template it keeps a conversation.
import type {GenerateRequest, Message} from './bantam';
import type {FromWorker, ToWorker} from './messages';

function at<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as Kind;
}
const file = at<HTMLInputElement>('file'), address = at<HTMLInputElement>('url'), count = at<HTMLInputElement>('count');
const temperature = at<HTMLInputElement>('temperature'), prompt = at<HTMLTextAreaElement>('prompt');
const run = at<HTMLButtonElement>('run'), stop = at<HTMLButtonElement>('stop'), fresh = at<HTMLButtonElement>('new');
const log = at('log'), status = at('status');

let worker: Worker | null = null;
let model: Blob | null = null;
let ready = false, chat = false;
let conversation: Message[] = [];
let answer: HTMLElement | null = null;  // where the running answer goes

function say(text: string, isError = false): void {
  status.textContent = text;
  status.toggleAttribute('data-error', isError);
}

function show(busy: boolean): void {
  run.disabled = busy || !ready;
  fresh.disabled = busy;
  stop.disabled = !busy;
}

function add(role: string, text: string): HTMLElement {
  const turn = document.createElement('div');
  turn.className = role;
  turn.textContent = text;
  log.append(turn);
  log.scrollTop = log.scrollHeight;
  return turn;
}

function startOver(): void {
  conversation = [];
  answer = null;
  log.replaceChildren();
}

/** After an error: the turn that got no answer is there to be sent again. */
function takeBack(): void {
  if (conversation.at(-1)?.role !== 'user') return;
  prompt.value = conversation.pop()?.content ?? '';
  log.lastChild?.remove();
  log.lastChild?.remove();
  answer = null;
}

function hear(message: FromWorker): void {
  if ('loaded' in message) {
    const {architecture, layers, vocabulary, memory} = message.loaded;
    chat = message.loaded.chat;
    say(`${architecture}, ${layers} layers, vocabulary ${vocabulary}, ${Math.round(memory / 1048576)} MiB. Ready.`);
    ready = true;
    show(false);
  } else if ('text' in message) {
    // Who has scrolled up to read stays there.
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    if (answer !== null) answer.textContent += message.text;
    if (atEnd) log.scrollTop = log.scrollHeight;
  } else if ('done' in message) {
    const {tokens, decode_seconds, finish} = message.done;
    say(`${tokens.length} tokens, ${(tokens.length / Math.max(decode_seconds, 1e-9)).toFixed(1)} a second (${finish}).`);
    conversation.push({role: 'assistant', content: answer?.textContent ?? ''});
    if (answer !== null) answer.dataset.tokens = tokens.join(' ');
    show(false);
  } else {
    say(message.error, true);
    takeBack();
    show(false);
  }
}

function load(blob: Blob): void {
  model = blob;
  ready = false;
  say('Loading …');
  show(false);
  worker?.terminate();
  worker = new Worker(new URL('./worker.ts', import.meta.url), {type: 'module'});
  worker.onmessage = ({data}: MessageEvent<FromWorker>) => hear(data);
  worker.onerror = (event) => hear({error: event.message || 'the worker failed'});
  const message: ToWorker = {wasm: new URL('bantam.wasm', document.baseURI).href, load: blob};
  worker.postMessage(message);
}

file.onchange = () => {
  const chosen = file.files?.[0];
  if (chosen !== undefined) {
    startOver();
    load(chosen);
  }
};

at('fetch').onclick = async () => {
  say('Fetching …');
  try {
    const response = await fetch(address.value);
    if (!response.ok) throw new Error(`found status ${response.status}`);
    startOver();
    load(await response.blob());
  } catch (error) {
    say(`${address.value}: ${error instanceof Error ? error.message : String(error)}`, true);
  }
};

/** What else a request is to hold may stand in the address: index.html#{"top_k":40} */
function fromAddress(): GenerateRequest {
  return JSON.parse(decodeURIComponent(location.hash.slice(1)) || '{}') as GenerateRequest;
}

run.onclick = () => {
  const text = prompt.value;
  add('user', text);
  conversation.push({role: 'user', content: text});
  answer = add('assistant', '');
  show(true);
  say('Generating …');
  const request: GenerateRequest = {
    ...(chat ? {messages: conversation} : {prompt: text}),
    max_tokens: count.valueAsNumber,
    temperature: temperature.valueAsNumber,
    seed: Math.floor(Math.random() * 2 ** 32),
    ...fromAddress(),
  };
  worker?.postMessage({generate: request} satisfies ToWorker);
  prompt.value = '';
};

prompt.onkeydown = (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !run.disabled) {
    event.preventDefault();
    run.click();
  }
};

// The worker ends, and the model is loaded again; the conversation goes on with what there is of the answer.
stop.onclick = () => {
  conversation.push({role: 'assistant', content: answer?.textContent ?? ''});
  if (model !== null) load(model);
};

fresh.onclick = startOver;
