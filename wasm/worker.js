// The engine in a worker. Messages in: {load: Blob, context} or {generate: request}. To stop it, the page ends the worker.
// Messages out: {loaded}, {text}, {done}, {error}.
import {Engine, blobSource} from './bantam.js';

let engine = null;

async function handle(message) {
  engine ??= await Engine.create(await (await fetch(new URL('bantam.wasm', import.meta.url))).arrayBuffer());
  if (message.load) postMessage({loaded: engine.load(blobSource(message.load), message.context ?? 0)});
  if (message.generate) {
    const done = engine.generate(message.generate, (text) => {
      postMessage({text});
      return true;
    });
    postMessage({done});
  }
}

self.onmessage = async ({data}) => {
  try {
    await handle(data);
  } catch (error) {
    postMessage({error: error.message});
  }
};
